/** Where `sojourn controller` has its mappings from: a file, or an agent (`agent-mappings.ts`). */
import { type Mapping, type Network, readMappings } from '../mobility/controller/index.ts';

export interface MappingSource {
  /** All mappings as they are now, with these gateways. @throws SojournError; then those of before are still good. */
  read(network: Network): Promise<readonly Mapping[]>;
  /** Calls `changed` whenever `read` gives others than before, if that is known without a look. */
  follow(changed: () => void): void;
  /** Nothing more will be read. */
  close(): void;
}

export function fileMappings(path: string): MappingSource {
  return { read: () => readMappings(path), follow: () => {}, close: () => {} };
}
