import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SojournError } from '../../common/index.ts';

/** Where `npm run build:ui` puts the window. */
export const BUILT_UI = fileURLToPath(new URL('../../../dist/ui', import.meta.url));

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

export interface BuiltFile {
  readonly type: string;
  readonly content: Buffer;
  /** Its name changes with its content. */
  readonly immutable: boolean;
}

/**
 * The files of the built window by their URL paths. Only what is in here is ever served, so no path leads anywhere else.
 * @throws SojournError `ui-not-built`
 */
export async function builtFiles(directory: string): Promise<ReadonlyMap<string, BuiltFile>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw notBuilt(directory, error);
      throw error;
    },
  );
  const files = new Map<string, BuiltFile>();
  for (const entry of entries) {
    const type = types[extname(entry.name)];
    if (!entry.isFile() || type === undefined) continue;
    const path = join(entry.parentPath, entry.name);
    const name = relative(directory, path).split(sep).join('/');
    const file = { type, content: await readFile(path), immutable: name.startsWith('assets/') };
    files.set(name === 'index.html' ? '/' : `/${name}`, file);
  }
  if (!files.has('/')) throw notBuilt(directory);
  return files;
}

function notBuilt(directory: string, cause?: unknown): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'ui-not-built',
    message: `The window is not built: ${directory} has no index.html`,
    remedy: 'Run "npm run build:ui" where Sojourn is installed',
    cause,
  });
}
