/** A person's way through the window, in a real browser, with real agents and a real guest. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatFingerprint } from '../../src/ui/model/format.ts';
import { TinyConsole } from '../lab/tiny-guest.ts';
import { goTo, launchBrowser, openWindow, seen, wasHacked } from '../ui/browser.ts';
import { HOSTILE } from '../ui/fake-world.ts';
import { expectAccessible, expectFits } from '../ui/page-checks.ts';
import { ErrorsLab, type LabAgent } from './errors-lab.ts';

/** Of what a guest or a handoff takes; a step that takes longer has failed, ms. */
const PATIENCE = 60_000;

/** Typed while the guest moves. */
const TYPED = '0123456789'.repeat(6);

let lab: ErrorsLab;
let device: LabAgent;
let site: LabAgent;
let browser: Browser & AsyncDisposable;
let laptop: Page;
let cloud: Page;
const complaints: string[][] = [];

async function linkOf(agent: LabAgent): Promise<string> {
  const { url } = await agent.ok<{ url: string }>('ui', '--no-open');
  return url;
}

async function windowOf(agent: LabAgent): Promise<Page> {
  const opened = await openWindow(browser, await linkOf(agent));
  opened.page.setDefaultTimeout(PATIENCE);
  complaints.push(opened.complaints);
  return opened.page;
}

beforeAll(async () => {
  lab = await ErrorsLab.create();
  [device, site] = [lab.device(), lab.site()];
  const [launched] = await Promise.all([
    launchBrowser(lab.namespace),
    device.start(),
    site.start(),
  ]);
  browser = launched;
  [laptop, cloud] = [await windowOf(device), await windowOf(site)];
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await lab?.[Symbol.asyncDispose]();
});

const next = () => laptop.getByRole('button', { name: 'Next', exact: true }).click();
const desk = (page: Page) => page.locator('[data-guest="desk"]');
const glance = (page: Page) => desk(page).locator('.glance');
test('a new place leads to the wizard, which examines this machine', async () => {
  await laptop.getByRole('link', { name: 'Set up Sojourn' }).click();
  await laptop.getByRole('button', { name: 'Check again' }).waitFor();
  const checks = await seen(laptop.locator('.problems'));
  expect(checks).toContain('Node 24');
  expect(checks).toContain('QEMU');
  await expectAccessible(laptop, 'checks');
  await next();
});

let used: string;
test('a site is paired with by a picture of the QR code of its invite', async () => {
  await goTo(cloud, '#/places');
  await cloud.getByRole('button', { name: 'Invite a device' }).first().click();
  await cloud.getByRole('button', { name: 'Make an invite' }).click();
  const code = cloud.getByRole('img', { name: 'QR code of the invite' });
  await code.waitFor();
  const picture = await code.screenshot();
  used = await cloud.getByLabel('Invite as text').inputValue();
  await expectAccessible(cloud, 'invite');
  await cloud.getByRole('button', { name: 'Close' }).click();

  const file = laptop.getByLabel('From a file or a picture of a QR code');
  await file.setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('no') });
  const alert = laptop.getByRole('alert');
  await alert.waitFor();
  expect(await seen(alert)).toContain('This file is neither a picture nor an invite');
  await file.setInputFiles({ name: 'invite.png', mimeType: 'image/png', buffer: picture });
  await laptop.getByText('The invite was read').waitFor();
  expect(await laptop.getByLabel('Invite', { exact: true }).inputValue()).toBe(used);
  await laptop.getByLabel('What to call it here (optional)').fill(HOSTILE);
  await laptop.getByRole('button', { name: 'Pair', exact: true }).click();
  const done = laptop.locator('.callout.safe').filter({ hasText: 'Paired with' });
  await done.waitFor();
  const { place } = await site.call('agent.info', {});
  expect(await seen(done)).toContain(`Paired with ${HOSTILE}`);
  expect(await seen(done)).toContain(formatFingerprint(place.id));
  await next();
});

test('an image is imported, and a guest is made, started and kept ready', async () => {
  await site.call('image.import', { path: await lab.tinyImage() });
  const path = laptop.getByLabel('Folder with an image.json on this machine, or that file');
  const begin = laptop.getByRole('button', { name: 'Import', exact: true });
  await path.fill('/nowhere');
  await begin.click();
  const alert = laptop.getByRole('alert');
  await alert.waitFor();
  expect(await seen(alert)).toContain('/nowhere');
  await path.fill(await lab.tinyImage());
  await begin.click();
  await laptop.locator('.choice', { hasText: 'tiny' }).locator('input:checked').waitFor();
  await next();
  await laptop.getByLabel('Name', { exact: true }).fill('desk');
  await expectAccessible(laptop, 'guest');
  await laptop.getByRole('button', { name: 'Make the guest' }).click();
  await laptop.getByRole('link', { name: 'To the guests' }).click();
  await glance(laptop).filter({ hasText: 'Runs here' }).waitFor();
  await glance(laptop)
    .filter({ hasText: `Safe: ${HOSTILE}` })
    .waitFor();
  await expectAccessible(laptop, 'dashboard');
});

let screen: Page;
const picture = () => screen.locator('.screen-pane.shown canvas');
/** Of the picture's points, as far as a change of it shows. */
const look = () => screen.evaluate("document.querySelector('.shown canvas').toDataURL()");

test('its screen shows what it shows, and what is typed there reaches it', async () => {
  const shell = await device.shell('desk');
  await shell.run('(cat /dev/tty1 > /tmp/typed &)');
  const { url } = await device.ok<{ url: string }>('guest', 'screen', 'desk', '--no-open');
  const opened = await openWindow(browser, url);
  screen = opened.page;
  screen.setDefaultTimeout(PATIENCE);
  complaints.push(opened.complaints);
  await screen.getByText('Runs at laptop').waitFor();
  const before = await look();
  await shell.run('echo hello > /dev/tty1');
  await expect.poll(look, { timeout: PATIENCE }).not.toBe(before);
  await picture().click();
  await screen.keyboard.type('one\n');
  await expect.poll(() => shell.run('cat /tmp/typed'), { timeout: PATIENCE }).toBe('one');
  await expectAccessible(screen, 'screen');
  shell.close();
});

test('it is handed off with one click, and what it took is told', async () => {
  const move = desk(laptop).getByRole('button', { name: `Hand off to ${HOSTILE}` });
  const typing = screen.keyboard.type(`${TYPED}\n`, { delay: 20 });
  await move.click();
  await typing;
  await glance(laptop)
    .filter({ hasText: `Runs on ${HOSTILE}` })
    .waitFor();
  await goTo(cloud, '#/');
  await glance(cloud).filter({ hasText: 'Runs here' }).waitFor();
  expect((await site.guest('desk')).state.kind).toBe('running');
  // Not a click, and not a key too many or too few.
  await screen.getByText(`Runs at ${HOSTILE}`).waitFor();
  await screen.keyboard.type('three\n');
  const { socketPath } = await site.call('guest.console', { guest: 'desk' });
  const shell = await TinyConsole.connect(socketPath);
  const typed = () => shell.run('cat /tmp/typed');
  await expect.poll(typed, { timeout: PATIENCE }).toBe(`one\n${TYPED}\nthree`);
  shell.close();
  await goTo(laptop, '#/handoffs');
  const told = laptop.locator('main article', { hasText: 'desk' });
  await told.filter({ hasText: /Pause of the guest\s*[\d.]+ m?s/ }).waitFor();
  expect(await seen(told)).toContain('from standby');
  expect(await seen(laptop.locator('.lines'))).toContain(`at ${HOSTILE}`);
  await expectAccessible(laptop, 'handoffs');
});

test('it is brought back', async () => {
  await goTo(laptop, '#/');
  await desk(laptop).getByRole('button', { name: 'Bring back here' }).click();
  await glance(laptop).filter({ hasText: 'Runs here' }).waitFor();
  expect((await device.guest('desk')).state.kind).toBe('running');
});

test('all that is known of the guest, the place and the link is shown', async () => {
  const { id } = await device.guest('desk');
  await goTo(laptop, `#/guest/${id}`);
  expect(await seen(laptop.locator('main'))).toMatch(/Home address\s+10\.77\.0\./);
  await goTo(laptop, '#/places');
  const card = laptop.locator('[data-place]', { hasText: HOSTILE });
  expect(await seen(card)).toMatch(/Round trip\s+[\d.]+ ms/);
  await goTo(laptop, '#/link');
  await laptop.locator('.chart canvas').first().waitFor();
  expect(await laptop.locator('.chart').first().getAttribute('aria-label')).toMatch(
    /Round trip to the nearest site: [\d.]+ ms.*2 handoffs are marked/,
  );
  await laptop.setViewportSize({ width: 320, height: 640 });
  await expectFits(laptop, 'link');
  await laptop.setViewportSize({ width: 1100, height: 800 });
});

test('an invite that lacks a part is refused, with what to do', async () => {
  await goTo(laptop, `#/places/pair/${used.slice(0, -20)}`);
  await laptop.getByRole('button', { name: 'Pair', exact: true }).click();
  const alert = laptop.locator('dialog [role=alert]');
  await alert.waitFor();
  expect(await seen(alert)).toContain(
    'This is not an invite, or a part of it is missing. Paste the whole line that "sojourn invite" printed at the site; it begins with sojourn1.\n',
  );
  await laptop.keyboard.press('Escape');
  await expect.poll(() => laptop.url()).toMatch(/#\/places$/);
});

test('a pairing is ended, after asking', async () => {
  await laptop.getByRole('button', { name: `End the pairing with ${HOSTILE}` }).click();
  await laptop.locator('dialog').getByRole('button', { name: 'End the pairing' }).click();
  await laptop.getByText('Paired with no other place yet').waitFor();
  expect(await device.call('place.list', {})).toHaveLength(1);
});

test('nothing that others named was taken for markup, and the page broke no rule', async () => {
  for (const page of [laptop, cloud]) {
    expect(await wasHacked(page)).toBe(false);
    expect(await page.locator('main img').count()).toBe(0);
  }
  expect(complaints.flat()).toEqual([]);
});

test('a link that was not given out opens nothing', async () => {
  const forged = new URL(await linkOf(device));
  forged.hash = `#token=${'A'.repeat(43)}`;
  const { page } = await openWindow(browser, forged.href);
  const alert = page.getByRole('alert');
  await alert.waitFor();
  expect(await seen(alert)).toContain('This link was used already, or is too old');
  expect(await seen(alert)).toContain('Run "sojourn ui" for a new one');
  expect(await page.locator('[data-guest]').count()).toBe(0);
  await page.context().close();
});

test('the agent is stopped from the settings; the guest goes on', async () => {
  const { state } = await device.guest('desk');
  await goTo(laptop, '#/settings');
  await laptop.getByRole('button', { name: 'Stop the agent …' }).click();
  expect(await seen(laptop.locator('dialog'))).toContain('1 guest goes on.');
  await laptop.locator('dialog').getByRole('button', { name: 'Stop the agent' }).click();
  const alert = laptop.locator('main > [role=alert]');
  await alert.filter({ hasText: 'No connection to the agent' }).waitFor();
  // Signal 0 only asks whether the process is there.
  expect(state.kind === 'running' && process.kill(state.pid, 0)).toBe(true);
});
