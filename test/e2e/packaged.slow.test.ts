/** The app as a package holds it: built by electron-builder, started without anything of the clone, driven to the end. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FuseState, FuseV1Options, getCurrentFuseWire } from '@electron/fuses';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PINNED_VERSION, pinnedFolder, pinnedRuntime } from '../../resources/electron/index.ts';
import { buildPackages } from '../../resources/packaging/build.ts';
import { ApiClient, apiSocketPath } from '../../src/api/index.ts';
import { within } from '../integration/agent-place.ts';
import { DesktopSession } from './session.ts';
import type { TrayHost } from './tray-host.ts';

const root = join(import.meta.dirname, '../..');
const CACHE = join(root, '.cache');

let work: string;
let program: string;
let session: DesktopSession;
let panel: TrayHost;
let app: ChildProcess | undefined;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'packaged-'));
  const distribution = join(work, 'electron');
  await cp(pinnedFolder(await pinnedRuntime()), distribution, {
    recursive: true,
    filter: (source) => !source.endsWith('/resources/app'),
  });
  await buildPackages([
    ...['--linux', 'dir'],
    `-c.electronDist=${distribution}`,
    `-c.electronVersion=${PINNED_VERSION}`,
  ]);
  // Away from the clone, whose modules it could find by accident.
  const installed = join(work, 'installed');
  await rename(join(root, 'dist/packages/linux-unpacked'), installed).catch(() =>
    cp(join(root, 'dist/packages/linux-unpacked'), installed, { recursive: true }),
  );
  program = join(installed, 'sojourn-desktop');
  session = await DesktopSession.start();
  panel = await session.startPanel();
});

afterAll(async () => {
  app?.kill('SIGKILL');
  await session?.close();
  await rm(work, { recursive: true, force: true });
});

test('its fuses are set', async () => {
  const wire = await getCurrentFuseWire(program);
  const on = [
    FuseV1Options.EnableCookieEncryption,
    FuseV1Options.OnlyLoadAppFromAsar,
    FuseV1Options.EnableEmbeddedAsarIntegrityValidation,
  ];
  const off = [
    FuseV1Options.RunAsNode,
    FuseV1Options.EnableNodeOptionsEnvironmentVariable,
    FuseV1Options.EnableNodeCliInspectArguments,
    FuseV1Options.LoadBrowserProcessSpecificV8Snapshot,
    FuseV1Options.GrantFileProtocolExtraPrivileges,
  ];
  for (const fuse of on) expect(wire[fuse], FuseV1Options[fuse]).toBe(FuseState.ENABLE);
  for (const fuse of off) expect(wire[fuse], FuseV1Options[fuse]).toBe(FuseState.DISABLE);
});

test('runs its own agent on its own Node, shows itself, and leaves the agent behind', async () => {
  const state = join(work, 'state');
  const profile = join(work, 'profile');
  await mkdir(profile);
  // Neither Node nor the clone is on its PATH.
  const env = {
    ...session.environment,
    PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
    XDG_CACHE_HOME: CACHE,
    SOJOURN_STATE: state,
  };
  const flags = ['--no-sandbox', '--disable-gpu', '--remote-debugging-port=0'];
  app = spawn(program, [...flags, `--user-data-dir=${profile}`], {
    cwd: work,
    env,
    stdio: 'ignore',
  });
  const icon = await panel.icon(30_000);
  await icon.line(/^No guest yet$/, 60_000);

  const [port] = (await readFile(join(profile, 'DevToolsActivePort'), 'utf8')).split('\n');
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
  const [page] = browser.contexts()[0]?.pages() ?? [];
  await page?.getByText('No guest yet').waitFor();
  expect(page?.url()).toMatch(/^app:\/\/sojourn\//);
  expect(await page?.evaluate(`sojourn.call('guest.list', {})`)).toEqual([]);
  await browser.close();

  const client = await ApiClient.connect(apiSocketPath(state));
  const { nodeVersion, pid } = await client.call('agent.info', {});
  expect(nodeVersion).toMatch(/^v?24\./);
  const exited = once(app, 'exit');
  await icon.click([/^Quit/]);
  expect(await within(exited, 10_000, 'the app to end')).toEqual([0, null]);
  expect((await client.call('agent.info', {})).pid).toBe(pid);
  await client.call('agent.stop', { guests: 'stop' });
  await client.closed;
});
