/** The app in a session of its own, without any agent before it: starts one, shows itself, leaves it behind. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiClient, apiSocketPath } from '../../src/api/index.ts';
import { within } from '../integration/agent-place.ts';
import { App } from './app.ts';
import { DesktopSession } from './session.ts';
import { type TrayHost, until } from './tray-host.ts';

let session: DesktopSession;
let panel: TrayHost;
let state: string;
let app: App;

beforeAll(async () => {
  session = await DesktopSession.start();
  panel = await session.startPanel();
  state = await mkdtemp(join(tmpdir(), 'e2e-'));
  app = await App.start({ session, state });
});

afterAll(async () => {
  await app?.close().catch(() => undefined);
  const agent = await ApiClient.connect(apiSocketPath(state)).catch(() => undefined);
  await agent?.call('agent.stop', { guests: 'stop' });
  await agent?.closed;
  await session?.close();
  await rm(state, { recursive: true, force: true });
});

describe('without an agent', () => {
  test('starts one and shows what it says in window and tray', async () => {
    const icon = await panel.icon(20_000);
    expect(await icon.line(/^No guest yet$/, 30_000)).toBe('No guest yet');
    expect(await icon.lines()).toContain('Quit (guests keep running)');
    const page = await app.page();
    await page.getByText('No guest yet').waitFor();
    const client = await ApiClient.connect(apiSocketPath(state));
    const info = await client.call('agent.info', {});
    client.close();
    // Never in Electron's own Node, which lacks zstd.
    expect(info.nodeVersion).toMatch(/^v?24\./);
    expect(info.pid).not.toBe(app.pid);
  });
});

describe('a second start', () => {
  test('opens the window of the first with the view of its link', async () => {
    const page = await app.page();
    const invite = 'sojourn1.eyJhIjoxfQ';
    const second = App.spawn({ session, state, arguments: [`sojourn://pair/${invite}`] });
    expect(await once(await second, 'exit')).toEqual([0, null]);
    const shown = await until(
      async () => page.url(),
      (url) => url.includes('/pair/'),
      10_000,
      'the pairing view',
    );
    expect(shown).toBe(`app://sojourn/#/places/pair/${invite}`);
    expect(await panel.items()).toHaveLength(1);
  });
});

describe('without its window', () => {
  test('stays in the tray, and opens it again from there', async () => {
    const page = await app.page();
    const visible = () =>
      app.electron.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.isVisible());
    await app.electron.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
    await until(visible, (shown) => shown === false, 10_000, 'the window to be hidden');
    const icon = await panel.icon(5_000);
    await icon.click(['Open Sojourn']);
    await until(visible, (shown) => shown === true, 10_000, 'the window to be shown');
    expect(page.isClosed()).toBe(false);
  });
});

describe('at its end', () => {
  test('leaves the agent running', async () => {
    await app.close();
    const before = await agentPid();
    const again = await App.spawn({ session, state, arguments: ['--hidden'] });
    const icon = await panel.icon(20_000);
    // It has found the agent, instead of starting another one.
    await icon.line(/^No guest yet$/, 20_000);
    const exited = once(again, 'exit');
    await icon.click(['Quit (guests keep running)']);
    expect(await within(exited, 10_000, 'the app to end')).toEqual([0, null]);
    expect(await agentPid()).toBe(before);
    await until(
      () => panel.items(),
      (items) => items.length === 0,
      5_000,
      'the icon to go',
    );
  });
});

async function agentPid(): Promise<number> {
  const client = await ApiClient.connect(apiSocketPath(state));
  const { pid } = await client.call('agent.info', {});
  client.close();
  return pid;
}
