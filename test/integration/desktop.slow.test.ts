/**
 * A desktop that is streamed from inside the guest: somebody in another network watches it with a VNC viewer of
 * somebody else's, at the guest's home address, while the guest goes to the site and comes back. Its clipboard is shared
 * with whoever looks at the guest's own screen, at the device all the time.
 */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { screenSocketPath } from '../../src/api/index.ts';
import { offerClipboard } from '../../src/cli/clipboard-session.ts';
import { launchBrowser, openWindow } from '../ui/browser.ts';
import { clipboardSuite } from './clipboard-suite.ts';
import { DebianGuest, imageFolder } from './debian-guest.ts';
import { BOOT_DEADLINE_MS, DebianPlaces, timed } from './debian-places.ts';
import { type Connection, VncViewer } from './vnc-viewer.ts';

const IMAGE = 'desktop';
/** `resources/guest/debian/desktop.sh`: the display, and in it two terminals, one above the other. */
const PORT = 5901;
const SIZE = { width: 800, height: 600 };
const COUNTER_ROWS = [40, 150] as const;
const WINDOWS = { counter: { x: 150, y: 120 }, notes: { x: 200, y: 320 } };
const PICTURE_MS = 120_000;
const ANSWER_MS = 120_000;
const CHANGES = 20;
const AS_ANNA = 'runuser -u anna -- env HOME=/home/anna DISPLAY=:1';

let places: DebianPlaces;
let guest: DebianGuest;
let hoa: string;
let viewer: VncViewer;
let connection: Connection | undefined;
let browser: Browser & AsyncDisposable;
let window: Page;
const typed: string[] = [];

beforeAll(async () => {
  places = await DebianPlaces.create(IMAGE);
  hoa = (await places.view('device')).network.hoa4;
  guest = new DebianGuest(places.lab.correspondent, hoa, IMAGE);
  await timed('boot', () => guest.booted(BOOT_DEADLINE_MS));
  await inDesktop('until [ "$(xprop -root _NET_CLIENT_LIST | grep -o 0x | wc -l)" = 2 ]');
  viewer = await VncViewer.start({
    ...{ from: places.lab.correspondent, address: hoa, port: PORT, ...SIZE },
    passwordFile: join(imageFolder(IMAGE), 'vnc-password'),
    folder: await mkdtemp(join(places.lab.directory, 'viewer-')),
    watched: COUNTER_ROWS,
  });
});

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await places?.close();
});

test('a viewer in the network of the correspondent shows it, and types on it', async () => {
  await viewer.changes(CHANGES, PICTURE_MS);
  const found = await viewer.connections();
  expect(found).toMatchObject([{ state: 'ESTAB', remote: `${hoa}:${PORT}`, pid: viewer.pid }]);
  [connection] = found;
  await focus('counter');
  await focus('notes');
  await note('before it moved');
});

clipboardSuite('spice-vdagent', () => ({ where: lookedAt(), copy, paste }));

test('the window of a browser shares its clipboard with it', async () => {
  browser = await launchBrowser(places.lab.device);
  const { url } = JSON.parse(
    await places.device.sojourn('guest', 'screen', IMAGE, '--no-open', '--json'),
  );
  const permissions = ['clipboard-read', 'clipboard-write'];
  window = (await openWindow(browser, url, { permissions })).page;
  window.setDefaultTimeout(ANSWER_MS);
  await window.getByText('Runs at laptop').waitFor();
  await shareWithWindow('at home');
});

test.each([
  ['device', 'site', 'typed at the site'],
  ['site', 'device', 'typed at home again'],
] as const)(
  'from %s to %s it stays connected, moves on, and takes keys',
  async (from, to, text) => {
    const process = viewer.pid;
    const offered = offerClipboard(lookedAt(), text);
    await expect.poll(paste, { timeout: ANSWER_MS }).toBe(text);
    const still = await viewer.standstill(async () => {
      await places.handOff(from, to);
      await viewer.changes(CHANGES, PICTURE_MS);
    });
    console.log(`the picture stood still for ${still.toFixed(0)} ms at most`);
    expect((await places.view(to)).state.kind).toBe('running');
    expect((await places.view(from)).state.kind).toBe('elsewhere');
    await note(text);
    // The same offer of the same viewer, at the guest's new place.
    await expect.poll(paste, { timeout: ANSWER_MS }).toBe(text);
    await copy(`${text}, copied there`);
    await offered;
    const printed = await places.device.sojourn('guest', 'clipboard', IMAGE, '--json');
    expect(JSON.parse(printed)).toEqual({ guest: IMAGE, text: `${text}, copied there` });
    expect(viewer.pid).toBe(process);
    expect(await viewer.connections()).toEqual([connection]);
  },
);

test('the same window shares it after that', () => shareWithWindow('home again'));

/** A text that is copied in the window's browser is pasted in the guest, and one that is copied there is in the browser. */
async function shareWithWindow(where: string): Promise<void> {
  const [ours, theirs] = [`copied in the browser, ${where}`, `copied in the desktop, ${where}`];
  const picture = window.getByRole('application');
  await picture.evaluate('document.activeElement.blur()');
  await window.evaluate(`navigator.clipboard.writeText(${JSON.stringify(ours)})`);
  await picture.locator('canvas').click();
  await expect.poll(paste, { timeout: ANSWER_MS }).toBe(ours);
  await copy(theirs);
  await window.getByText(theirs).waitFor();
  expect(await window.evaluate('navigator.clipboard.readText()')).toBe(theirs);
}

/** The guest's screen as the device has it, wherever the guest runs. */
function lookedAt() {
  return { socketPath: screenSocketPath(places.device.state), guest: IMAGE };
}

async function copy(text: string): Promise<void> {
  const data = Buffer.from(text).toString('base64');
  await guest.run(
    `echo ${data} | base64 -d | ${AS_ANNA} xclip -i -selection clipboard >/dev/null 2>&1`,
  );
}

/** Empty where nobody has a text. */
async function paste(): Promise<string> {
  const data = await guest.run(
    `timeout 20 ${AS_ANNA} xclip -o -selection clipboard 2>/dev/null | base64 -w0`,
  );
  return Buffer.from(data, 'base64').toString();
}

/** Types a line; every line until now is in the guest then, once. */
async function note(text: string): Promise<void> {
  typed.push(text);
  await viewer.typeLine(text);
  await inDesktop(`until [ "$(wc -l <notes)" -ge ${typed.length} ]`);
  expect((await guest.run('cat /home/anna/notes')).split('\n')).toEqual(typed);
}

/** Clicks on a window; resolves when the window manager has given it the focus. */
async function focus(name: keyof typeof WINDOWS): Promise<void> {
  const { x, y } = WINDOWS[name];
  await viewer.click(x, y);
  const active = '$(xprop -root _NET_ACTIVE_WINDOW | grep -o "0x[0-9a-f]*")';
  await inDesktop(`until xprop -id "${active}" WM_NAME | grep -q ${name}`);
}

/** Runs the loop `until CONDITION` as the desktop's user. */
async function inDesktop(until: string): Promise<void> {
  const script = `cd; ${until}; do sleep 0.3; done`;
  await guest.run(`${AS_ANNA} timeout ${ANSWER_MS / 1000} sh -c '${script}'`, 2 * ANSWER_MS);
}
