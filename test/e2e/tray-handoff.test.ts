/** A guest that is sent away and brought back by clicks in a panel: real app, agents, QEMUs, and a link between them. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { within } from '../integration/agent-place.ts';
import { GUEST, TwoPlaces } from '../integration/two-places.ts';
import { App } from './app.ts';
import { DesktopSession } from './session.ts';
import type { TrayHost, TrayItem } from './tray-host.ts';

const HANDOFF_MS = 60_000;
const FILL_MS = 60_000;
/** The agent says something new every second. */
const WATCHED_MS = 3_500;

let places: TwoPlaces;
let session: DesktopSession;
let panel: TrayHost;
let app: Awaited<ReturnType<typeof App.spawn>>;
let icon: TrayItem;

beforeAll(async () => {
  [places, session] = await Promise.all([TwoPlaces.create(), DesktopSession.start()]);
  panel = await session.startPanel();
  app = await App.spawn({ session, state: places.device.state, arguments: ['--hidden'] });
  icon = await panel.icon(20_000);
});

afterAll(async () => {
  app?.kill('SIGKILL');
  await session?.close();
  await places?.close();
});

describe('the tray of an agent that ran before', () => {
  test('says where the guest is, and what would become of it', async () => {
    await icon.line(/^wanderer runs here\. Stands by nowhere$/, 20_000);
    expect(await icon.line(/^Link to cloud: good$/, 5_000)).toBeTruthy();
    expect(await icon.tooltip()).toBe('wanderer runs here. Stands by nowhere');
  });

  test('hands it off, and brings it back', async () => {
    const here = await icon.picture();
    await icon.click(['Hand off to cloud']);
    await icon.line(/^wanderer runs at cloud$/, HANDOFF_MS);
    expect((await places.site.guest(GUEST))?.state.kind).toBe('running');
    const away = await icon.picture();
    expect(away.length).toBeGreaterThan(0);
    expect(away.equals(here)).toBe(false);

    await icon.click(['Bring back here']);
    await icon.line(/^wanderer runs here/, HANDOFF_MS);
    expect((await places.device.guest(GUEST))?.state.kind).toBe('running');
    expect((await icon.picture()).equals(here)).toBe(true);
  });

  test('keeps it safe, and leaves the menu alone while nothing happens', async () => {
    await icon.click(['Keep safe at cloud']);
    await icon.line(/^wanderer runs here\. Safe: cloud \S+ m?s away$/, FILL_MS);
    const changes = await icon.followChanges();
    await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
    expect(changes.length, changes.join('\n---\n')).toBeLessThanOrEqual(1);
    expect((await places.device.guest(GUEST))?.standby?.state).toBe('armed');
  });

  test('warns when the other place is gone, and why it cannot go there', async () => {
    await places.site.terminate();
    await icon.line(/^wanderer runs here\. At risk: /, 30_000);
    await icon.line(/^Hand off to cloud \(not connected\)$/, 30_000);
    await icon.line(/^Link to cloud: lost$/, 5_000);
  });

  test('leaves the guest running at its end', async () => {
    const [guest] = places.device.guestPids();
    const exited = once(app, 'exit');
    await icon.click(['Quit (guests keep running)']);
    expect(await within(exited, 10_000, 'the app to end')).toEqual([0, null]);
    expect(places.device.guestPids()).toEqual([guest]);
    expect((await places.device.guest(GUEST))?.state.kind).toBe('running');
  });
});
