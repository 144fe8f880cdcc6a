/**
 * A guest's screen in the real app: opened from the tray, watched and typed on while the guest goes to the site and comes
 * back from its standby, with what the demo guest itself says of frames, keys and pointer as the witness.
 */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SojournError } from '../../src/common/index.ts';
import { order } from '../bench/handoff/index.ts';
import { GUEST, type Side, TwoPlaces } from '../integration/two-places.ts';
import { App } from './app.ts';
import { DesktopSession } from './session.ts';
import { until } from './tray-host.ts';

const PATIENCE_MS = 120_000;
const ORDER_MS = 60_000;
const FOCUS_MS = 20_000;
/** As fast as people type, ms. */
const KEY_MS = 80;
/** What the guest's tablet calls the right or lower edge, and how near it has to be to where was clicked, of the edge. */
const POINTER_EDGE = 32_767;
const POINTER_ACCURACY = 0.01;
const TYPED = 'the quick brown fox jumps over the lazy dog';
/** Squares of the picture, `resources/guest/services/picture.c`. */
const NUMBER = (row: number) => `(() => {
  const canvas = document.querySelector('.shown canvas');
  if (canvas === null || canvas.width < 256) return -1;
  const { data } = canvas.getContext('2d').getImageData(0, ${row * 16 + 8}, 256, 1);
  let value = 0;
  for (let bit = 0; bit < 16; bit++) value = value * 2 + (data[(bit * 16 + 8) * 4] > 127 ? 1 : 0);
  return value;
})()`;

let places: TwoPlaces;
let session: DesktopSession;
let app: App;
let screen: Page;
let address: string;

beforeAll(async () => {
  [places, session] = await Promise.all([
    TwoPlaces.create({ display: true }),
    DesktopSession.start(),
  ]);
  address = (await places.device.guest(GUEST))?.network.hoa4 ?? '';
  await order(places.lab.correspondent, address, ['picture 10'], ORDER_MS);
});

afterAll(async () => {
  await app?.close().catch(() => undefined);
  await session?.close();
  await places?.close();
});

const frame = () => screen.evaluate(NUMBER(0)) as Promise<number>;
const keys = () => screen.evaluate(NUMBER(1)) as Promise<number>;
const pointer = async () => (await screen.evaluate(`[${NUMBER(2)}, ${NUMBER(3)}]`)) as number[];
const presses = () => screen.evaluate(NUMBER(4)) as Promise<number>;

async function moves(): Promise<void> {
  const before = await frame();
  await until(frame, (now) => now > before, PATIENCE_MS, 'the picture to move');
}

/** At a part of the picture's width and height: the guest has the pointer there, and one press of a button more. */
async function click(across: number, down: number): Promise<void> {
  const before = await presses();
  const canvas = screen.locator('.shown canvas');
  const box = await canvas.boundingBox();
  if (box === null) throw new Error('there is no picture');
  await canvas.click({ position: { x: box.width * across, y: box.height * down } });
  await until(presses, (now) => now > before, PATIENCE_MS, 'the click');
  // One too many would come now.
  await moves();
  expect(await presses()).toBe(before + 1);
  const [x = Number.NaN, y = Number.NaN] = await pointer();
  expect(Math.abs(x / POINTER_EDGE - across)).toBeLessThan(POINTER_ACCURACY);
  expect(Math.abs(y / POINTER_EDGE - down)).toBeLessThan(POINTER_ACCURACY);
}

/** A machine that is busy with other things may be too slow; then the guest stays, and no key may be lost either. */
async function move(from: Side, tries = 5): Promise<void> {
  const input = { guest: GUEST, to: places.other(from).name };
  await places
    .place(from)
    .api.call('handoff.start', input)
    .catch((error: SojournError) => {
      if (error.code !== 'switchover-stalled' || tries === 0) throw error;
      return move(from, tries - 1);
    });
}

test('is opened from the tray; its picture moves, and a click arrives where it was made', async () => {
  const panel = await session.startPanel();
  app = await App.start({ session, state: places.device.state, arguments: ['--hidden'] });
  const icon = await panel.icon(20_000);
  const opened = app.electron.waitForEvent('window', { timeout: PATIENCE_MS });
  await icon.click(['Open screen'], PATIENCE_MS);
  screen = await opened;
  screen.setDefaultTimeout(PATIENCE_MS);
  await screen.getByText('Runs at laptop').waitFor();
  await moves();
  await click(0.75, 0.25);
});

test('its window reads the clipboard of the device while it has the focus, and not otherwise', async () => {
  const read = () =>
    screen.evaluate('sojourn.shell.readClipboard().catch(({ code }) => code)') as Promise<string>;
  const focused = await app.electron.browserWindow(screen);
  await app.electron.evaluate(({ clipboard }) => clipboard.writeText('copied here'));
  await focused.evaluate((window: Electron.BrowserWindow) => window.focus());
  await until(read, (text) => text === 'copied here', FOCUS_MS, 'the clipboard');
  await focused.evaluate((window: Electron.BrowserWindow) => window.blur());
  await until(read, (text) => text === 'clipboard-refused', FOCUS_MS, 'the refusal');
  await focused.evaluate((window: Electron.BrowserWindow) => window.focus());
});

test.each(['device', 'site'] as const)(
  'from the %s: the picture follows by itself, and keys and clicks arrive once',
  async (side) => {
    const [from, to] = [places.place(side), places.other(side)];
    await from.api.call('standby.arm', {
      ...{ guest: GUEST, at: to.name, wait: true, bothWays: false },
    });
    const before = await keys();
    const typing = screen.keyboard.type(TYPED, { delay: KEY_MS });
    await move(side);
    await typing;
    await screen.getByText(`Runs at ${to.name}`).waitFor();
    await moves();
    await until(
      keys,
      (now) => now >= before + TYPED.length,
      20_000,
      'all keys',
      async () => String((await keys()) - before),
    );
    // A key too many would come now.
    await moves();
    expect(await keys()).toBe(before + TYPED.length);
    await click(0.25, side === 'device' ? 0.75 : 0.5);
  },
);

test('opens by itself where a guest arrives, when that was wished for', async () => {
  await screen.close();
  await move('device');
  await app.electron.evaluate(({ Menu }) => {
    const find = (items: Electron.MenuItem[]): Electron.MenuItem | undefined => {
      for (const item of items) {
        if (item.label.startsWith('Open the screen of a guest')) return item;
        const below = item.submenu ? find(item.submenu.items) : undefined;
        if (below !== undefined) return below;
      }
      return undefined;
    };
    find(Menu.getApplicationMenu()?.items ?? [])?.click();
  });
  const opened = app.electron.waitForEvent('window', { timeout: PATIENCE_MS });
  opened.catch(() => undefined);
  await move('site');
  screen = await opened;
  await screen.getByText('Runs at laptop').waitFor({ timeout: PATIENCE_MS });
  await moves();
});
