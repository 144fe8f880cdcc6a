/**
 * Updates of a packaged app: off until a person turns them on, and only where whoever published the package gave an
 * address for them (`app-update.yml`, made by electron-builder).
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { app } from 'electron';
import { errorText } from '../src/common/index.ts';

const INTERVAL_MS = 24 * 60 * 60_000;

export function updatesAreOffered(): boolean {
  return app.isPackaged && existsSync(join(process.resourcesPath, 'app-update.yml'));
}

/** Looks now and once a day; an update is installed when the app is quit. Guests go on, since the agent does. */
export class Updates {
  #timer: NodeJS.Timeout | undefined;

  set(on: boolean): void {
    clearInterval(this.#timer);
    if (!on || !updatesAreOffered()) return;
    void look();
    this.#timer = setInterval(() => void look(), INTERVAL_MS);
  }
}

async function look(): Promise<void> {
  try {
    const { default: updater } = await import('electron-updater');
    await updater.autoUpdater.checkForUpdatesAndNotify();
  } catch (error) {
    // No network is no news; it is tried again tomorrow.
    console.warn(`no update was found: ${errorText(error)}`);
  }
}
