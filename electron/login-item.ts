/** Start at login: by Electron on macOS and Windows, by an autostart entry on Linux (Desktop Application Autostart 0.5). */
import { access, mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { app } from 'electron';
import { desktopEntry } from './desktop-entry.ts';

/** Tells the app that nobody asked for its window. */
export const HIDDEN = '--hidden';

export async function startsAtLogin(): Promise<boolean> {
  if (process.platform !== 'linux') return app.getLoginItemSettings({ args: [HIDDEN] }).openAtLogin;
  return access(autostartEntry()).then(
    () => true,
    () => false,
  );
}

export async function setStartAtLogin(on: boolean): Promise<void> {
  if (process.platform !== 'linux') {
    app.setLoginItemSettings({ openAtLogin: on, args: [HIDDEN] });
    return;
  }
  const path = autostartEntry();
  if (!on) {
    await rm(path, { force: true });
    return;
  }
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, desktopEntry(launchCommand()));
}

function autostartEntry(): string {
  const { XDG_CONFIG_HOME: xdg } = process.env;
  const base = xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.config');
  return join(base, 'autostart', 'sojourn.desktop');
}

function launchCommand(): string[] {
  const { APPIMAGE } = process.env;
  if (APPIMAGE !== undefined) return [APPIMAGE, HIDDEN];
  return app.isPackaged ? [process.execPath, HIDDEN] : [process.execPath, app.getAppPath(), HIDDEN];
}
