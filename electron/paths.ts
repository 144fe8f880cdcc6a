/** Where the app's parts are, in a clone and in a package. */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { app } from 'electron';

export interface AppPaths {
  /** Has the agent's `src` and `node_modules`. */
  readonly agentRoot: string;
  /** The Node that a package brings. */
  readonly bundledNode: string | undefined;
  readonly page: string;
  readonly preload: string;
  readonly icons: string;
  readonly windowIcon: string;
  readonly agentLog: string;
  readonly settings: string;
}

export function appPaths(): AppPaths {
  // The pinned runtime has a link to the clone.
  const root = realpathSync(app.getAppPath());
  // What another program than Electron reads cannot lie in the archive that the app is packed into.
  const unpacked = process.resourcesPath;
  return {
    agentRoot: app.isPackaged ? join(unpacked, 'agent') : root,
    bundledNode: app.isPackaged ? join(unpacked, 'node') : undefined,
    page: join(root, 'dist', 'ui'),
    preload: join(root, 'dist', 'electron', 'preload.cjs'),
    icons: join(root, 'resources', 'icons', 'tray'),
    windowIcon: join(root, 'resources', 'icons', 'app', 'sojourn-256.png'),
    agentLog: join(app.getPath('userData'), 'agent.log'),
    settings: join(app.getPath('userData'), 'settings.json'),
  };
}
