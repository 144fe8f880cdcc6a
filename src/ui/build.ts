/**
 * Builds the window into `dist/ui`, when what it is built from has changed. `npm run build:ui`; whoever needs the window
 * in a checkout calls `buildUi`.
 */
import { createHash } from 'node:crypto';
import { glob, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readFileIfPresent, writeFileAtomically } from '../common/index.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const output = join(root, 'dist', 'ui');
const stamp = join(output, '.built-from');
/** What the window is made of; the lock file stands for its libraries. */
const SOURCES = [
  'src/ui/**/*',
  'src/api/*.ts',
  'src/common/*.ts',
  'src/guest/spec.ts',
  'src/link/sample.ts',
  'src/link/policy/rules.ts',
  'package-lock.json',
];

/**
 * Returns the folder of the built window. Where the builder is not installed, as in a package, it is taken as it is;
 * rejects with what the builder says when it cannot be built.
 */
export async function buildUi(): Promise<string> {
  const digest = await sourcesDigest();
  if ((await readFileIfPresent(stamp)) === digest) return output;
  const vite = await import('vite').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  });
  if (vite === undefined) return output;
  await vite.build({ configFile: join(root, 'src', 'ui', 'vite.config.ts'), logLevel: 'warn' });
  await writeFileAtomically(stamp, digest, 0o644);
  return output;
}

async function sourcesDigest(): Promise<string> {
  const files: string[] = [];
  for await (const entry of glob(SOURCES, { cwd: root, withFileTypes: true }))
    if (entry.isFile()) files.push(join(entry.parentPath, entry.name));
  const hash = createHash('sha256');
  for (const file of files.sort())
    hash.update(`${relative(root, file)}\0`).update(await readFile(file));
  return hash.digest('hex');
}

if (import.meta.main) console.log(await buildUi());
