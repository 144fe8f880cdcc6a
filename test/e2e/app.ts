/** The real app in the real Electron of the tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { _electron, type ElectronApplication, type Page } from 'playwright-core';
import { buildApp } from '../../electron/build.ts';
import { pinnedRuntime } from '../../resources/electron/index.ts';
import type { DesktopSession } from './session.ts';

const START_DEADLINE_MS = 30_000;
const CACHE = join(import.meta.dirname, '../../.cache');

export interface AppOptions {
  readonly session: DesktopSession;
  /** Of the agent that it talks to. */
  readonly state: string;
  readonly arguments?: readonly string[];
}

export class App {
  readonly electron: ElectronApplication;

  private constructor(electron: ElectronApplication) {
    this.electron = electron;
  }

  static async start(options: AppOptions): Promise<App> {
    const { executable, args, env } = await command(options);
    const timeout = START_DEADLINE_MS;
    return new App(await _electron.launch({ executablePath: executable, args, env, timeout }));
  }

  /** Nobody looks into it, and so it can end by itself: with a debugger it waits for that to go. */
  static async spawn(options: AppOptions): Promise<ChildProcess> {
    const { executable, args, env } = await command(options);
    return spawn(executable, args, { env, stdio: 'ignore' });
  }

  /** The window's page, as soon as it is there and has its bridge. */
  async page(): Promise<Page> {
    const [open] = this.electron.windows();
    const page =
      open ?? (await this.electron.waitForEvent('window', { timeout: START_DEADLINE_MS }));
    await page.waitForLoadState('load');
    return page;
  }

  get pid(): number {
    return this.electron.process().pid ?? 0;
  }

  async close(): Promise<void> {
    await this.electron.close();
  }
}

async function command({ session, state, ...options }: AppOptions) {
  await buildApp();
  const { executable, appArguments } = await pinnedRuntime();
  const profile = join(session.folder, 'profile');
  await mkdir(profile, { recursive: true });
  const args = [
    ...appArguments,
    // Tests run as root, and in containers.
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    `--user-data-dir=${profile}`,
    ...(options.arguments ?? []),
  ];
  // An agent that it starts proves the accelerator once for all runs.
  const env = { ...session.environment, XDG_CACHE_HOME: CACHE, SOJOURN_STATE: state };
  return { executable, args, env };
}
