/** The Electron that package.json declares: its binary is downloaded by its own installer, at the first start. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { errorText } from '../../src/common/index.ts';

/** Some 120 MB. */
const DOWNLOAD_DEADLINE_MS = 15 * 60_000;

export type Declared =
  | { readonly there: true; readonly executable: string }
  | { readonly there: false; readonly version: string; readonly reason: string };

/** Downloads it if it is not there yet. Never rejects: what hinders it is told as the reason. */
export async function declaredElectron(): Promise<Declared> {
  const require = createRequire(import.meta.url);
  let version = '';
  try {
    version = (require('electron/package.json') as { version: string }).version;
    const folder = dirname(require.resolve('electron/package.json'));
    const installer = await execa(process.execPath, [join(folder, 'install.js')], {
      stdin: 'ignore',
      timeout: DOWNLOAD_DEADLINE_MS,
      reject: false,
      all: true,
    });
    if (installer.failed) return { there: false, version, reason: firstLine(installer.all) };
    const name = await readFile(join(folder, 'path.txt'), 'utf8');
    return { there: true, executable: join(folder, 'dist', name.trim()) };
  } catch (error) {
    return { there: false, version, reason: errorText(error) };
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? 'its installer failed';
}
