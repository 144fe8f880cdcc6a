import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Compiles a C file of this folder. Returns the result, alone in a folder of its own. */
export async function build(source: string, flags: readonly string[]): Promise<string> {
  const result = join(await mkdtemp(join(tmpdir(), 'sojourn-probe-')), source.replace('.c', ''));
  const path = fileURLToPath(new URL(source, import.meta.url));
  await promisify(execFile)('cc', [...flags, '-o', result, path]);
  return result;
}
