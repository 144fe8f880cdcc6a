/** With SOJOURN_EVIDENCE set, every QMP line of every guest is kept with its time, for benchmarks and reports of defects. */
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import type { QmpLogEntry } from '../../guest/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';

/** A log that has grown to this takes no more, bytes. */
const MAX_LOG_BYTES = 256 * 1024 * 1024;

export function qmpEvidence(
  stateDirectory: string,
  env: NodeJS.ProcessEnv,
): ((spec: GuestSpec, entry: QmpLogEntry) => void) | undefined {
  if (env.SOJOURN_EVIDENCE === undefined || env.SOJOURN_EVIDENCE === '') return undefined;
  const directory = join(stateDirectory, 'evidence');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files = new Map<string, WriteStream>();
  return ({ name }, entry) => {
    let file = files.get(name);
    if (file === undefined) {
      file = createWriteStream(join(directory, `${name}.qmp.jsonl`), { flags: 'a', mode: 0o600 });
      files.set(name, file);
    }
    if (file.bytesWritten < MAX_LOG_BYTES) file.write(`${JSON.stringify(entry)}\n`);
  };
}
