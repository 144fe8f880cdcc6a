/** The recorded messages of real peers; `golden/capture.py` records them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Golden {
  readonly source: string;
  readonly bytes: Buffer;
  /** What the peer makes of it. */
  readonly text: string;
}

export function golden(peer: 'openvswitch' | 'os-ken'): Golden[] {
  const path = join(import.meta.dirname, 'golden', `${peer}.jsonl`);
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { source, hex, text } = JSON.parse(line) as Record<string, string>;
      return {
        source: `${peer}: ${source}`,
        bytes: Buffer.from(hex ?? '', 'hex'),
        text: text ?? '',
      };
    });
}
