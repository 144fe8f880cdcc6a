/** Every view of the window in a real browser, with a double of the agent that is in every state at once. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SojournError } from '../../src/common/index.ts';
import { buildUi } from '../../src/ui/build.ts';
import { goTo, launchBrowser, openWindow, seen, wasHacked } from '../ui/browser.ts';
import {
  everyGuest,
  everyStatus,
  type FakeWorld,
  HOSTILE,
  startFakeWorld,
} from '../ui/fake-world.ts';
import { expectAccessible, expectFits } from '../ui/page-checks.ts';

const VIEWS = [
  'dashboard',
  'handoffs',
  'places',
  'link',
  'rules',
  'problems',
  'settings',
  'setup',
  `guest/${everyGuest()[0]?.id}`,
  `screen/${everyGuest()[0]?.id}`,
];

let browser: Browser & AsyncDisposable;
let world: FakeWorld;
const rules: unknown[] = [];
beforeAll(async () => {
  const [directory, launched] = await Promise.all([buildUi(), launchBrowser()]);
  browser = launched;
  world = await startFakeWorld(directory, everyStatus(), {
    'handoff.start': async () => {
      throw new SojournError({
        kind: 'unreachable',
        code: 'peer-unreachable',
        message: `${HOSTILE} does not answer`,
        remedy: 'Check the network',
      });
    },
    'policy.set': async ({ rules: wanted }) => {
      rules.push(wanted);
      return { automatic: true, rules: wanted };
    },
    'policy.auto': async () => {
      throw new SojournError({
        kind: 'conflict',
        code: 'rules-elsewhere',
        message: 'The rules are kept elsewhere',
        remedy: 'Change them there',
      });
    },
    'guest.start': () => Promise.withResolvers<never>().promise,
    'image.import': async (_input, { emit }) => {
      emit({ bytesDone: 1_000_000, bytesTotal: 4_000_000 });
      return Promise.withResolvers<never>().promise;
    },
  });
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await world?.close();
});

async function show(page: Page, view: string): Promise<void> {
  await goTo(page, `#/${view}`);
  await page.waitForSelector('main h1');
  await page.waitForSelector('.loading', { state: 'detached' });
}

const looks = [
  { name: 'light, English', width: 1100, colorScheme: 'light', locale: 'en' },
  { name: 'dark, Japanese, 320 px', width: 320, colorScheme: 'dark', locale: 'ja' },
] as const;

describe.each(looks)('$name', ({ width, colorScheme, locale }) => {
  const options = { colorScheme, locale, viewport: { width, height: 700 } };

  test('every view is accessible, fits, shows names as text, and breaks no rule', async () => {
    const { page, complaints } = await openWindow(browser, await world.link(), options);
    await page.waitForSelector('[data-guest]');
    expect(await page.getAttribute('html', 'lang')).toBe(locale);
    world.tell(everyStatus());
    for (const view of VIEWS) {
      await show(page, view);
      await expectAccessible(page, view);
      await expectFits(page, view);
    }
    expect(await wasHacked(page)).toBe(false);
    expect(await page.locator('img').count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test('dialogs are accessible and fit', async () => {
    const { page } = await openWindow(browser, await world.link(), options);
    await page.waitForSelector('[data-guest]');
    const dialogs: [string, string][] = [
      ['alone', '.actions button:nth-of-type(2)'],
      ['alone', '.actions button:nth-of-type(3)'],
      ['doubtful', '.actions button'],
      ['full', '.actions button'],
      ['stopped', '.actions button:nth-of-type(2)'],
    ];
    for (const [guest, button] of dialogs) {
      await page.click(`[data-guest="${guest}"] ${button}`);
      await page.waitForSelector('dialog[open]');
      await expectAccessible(page, `${guest} ${button}`);
      await expectFits(page, `${guest} ${button}`);
      await page.keyboard.press('Escape');
      await page.waitForSelector('dialog', { state: 'detached' });
    }
    await page.context().close();
  });
});

describe('in the browser', () => {
  let page: Page;
  let complaints: string[];
  beforeAll(async () => {
    ({ page, complaints } = await openWindow(browser, await world.link()));
    await page.waitForSelector('[data-guest]');
  });
  afterAll(async () => page?.context().close());
  const card = (guest: string) => page.locator(`[data-guest="${guest}"]`);

  test('the link leaves the address, and cannot be used again', async () => {
    expect(page.url()).not.toContain('token');
    const link = await world.link();
    const first = await openWindow(browser, link);
    await first.page.waitForSelector('[data-guest]');
    const second = await openWindow(browser, link);
    await expect
      .poll(() => seen(second.page.locator('main [role=alert]')))
      .toContain('This link was used already');
    // Reloading keeps what was given; another browser gets nothing without a link.
    await first.page.reload();
    await first.page.waitForSelector('[data-guest]');
    await second.page.goto(new URL('/', link).href);
    await expect
      .poll(() => seen(second.page.locator('main [role=alert]')))
      .toContain('This browser may not use the agent');
    await Promise.all([first, second].map((one) => one.page.context().close()));
  });

  test('state comes first, then whether it is safe', async () => {
    expect(await seen(card('dev-desktop').locator('.glance'))).toMatch(
      /^Runs here\s+Safe: cloud 0\.4 s away$/,
    );
    expect(await seen(card('alone'))).toContain('Not safe');
    expect(await seen(card('elsewhere'))).toContain('Runs on cloud');
    expect(await card('moving').locator('progress').getAttribute('value')).toBe('25');
    expect(await seen(card('waiting'))).toContain('The network is metered');
  });

  test('a hostile text is shown as it is', async () => {
    expect(await seen(card('broken'))).toContain(HOSTILE);
  });

  test('what fails is told with what to do, where it was asked for, and goes when dismissed', async () => {
    await card('alone').getByRole('button', { name: 'Hand off to cloud' }).click();
    const alert = card('alone').getByRole('alert');
    await alert.waitFor();
    expect(await seen(alert)).toContain(`${HOSTILE} does not answer. Check the network.`);
    await expectAccessible(page, 'failure');
    await alert.getByRole('button', { name: 'Dismiss' }).click();
    await alert.waitFor({ state: 'detached' });
  });

  test('a place that cannot be reached says why, and cannot be chosen', async () => {
    await card('alone').getByRole('button', { name: 'Hand off to …' }).click();
    const off = page.locator('dialog .choice', { hasText: HOSTILE });
    expect(await seen(off)).toContain('not connected now');
    expect(await off.locator('input').isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  });

  test('a call under way is seen', async () => {
    const start = card('stopped').getByRole('button').first();
    await start.click();
    await expect.poll(() => seen(start)).toBe('Starting …');
    expect(await start.getAttribute('aria-busy')).toBe('true');
  });

  test('a rule is changed as a whole; one that is refused says so', async () => {
    await show(page, 'rules');
    expect(await seen(page.locator('main'))).toContain(
      `is kept fresher The signal falls ${HOSTILE}`,
    );
    await page.getByLabel('When the lid is closed').click();
    await expect
      .poll(() => rules.at(-1))
      .toMatchObject({ leave: { onLidClosed: true, onLoss: true } });
    await page.getByLabel('Guests leave and come back by themselves').click();
    const alert = page.getByRole('alert');
    await alert.waitFor();
    expect(await seen(alert)).toContain('The rules are kept elsewhere');
    await alert.getByRole('button', { name: 'Dismiss' }).click();
  });

  test('the signal is shown with its forecast', async () => {
    await show(page, 'link');
    const chart = page.locator('.chart').first();
    expect(await chart.getAttribute('aria-label')).toMatch(
      /Wireless signal: -71 dBm\. Forecast: -80 dBm/,
    );
    expect(await seen(page.locator('.panel').first())).toContain('about 11 s and 3.0 MB left');
    await show(page, 'dashboard');
  });

  test('the keyboard is enough', async () => {
    await page.reload();
    await page.waitForSelector('[data-guest]');
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content');
    for (let count = 0; count < 3; count += 1) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.title()).toMatch(/^Places/);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
  });

  test('language and colours can be chosen, and are kept', async () => {
    await show(page, 'settings');
    await page.getByLabel('Language').selectOption('ja');
    expect(await seen(page.locator('h1'))).toBe('設定');
    await page.getByLabel('配色').selectOption('dark');
    await page.reload();
    await page.waitForSelector('main h1');
    expect(await page.getAttribute('html', 'lang')).toBe('ja');
    expect(await page.evaluate(() => getComputedStyle(document.body).color)).toBe(
      'rgb(236, 239, 244)',
    );
    await page.getByLabel('言語').selectOption('en');
  });

  test('an import shows how far it is', async () => {
    await show(page, 'setup');
    for (let step = 0; step < 2; step += 1)
      await page.getByRole('button', { name: 'Next' }).click();
    await page.getByLabel('Folder with an image.json').fill('/images/debian');
    await page.getByRole('button', { name: 'Import', exact: true }).click();
    await page.getByText('Importing: 1.00 MB of 4.00 MB').waitFor();
    await expectAccessible(page, 'import');
    await page.getByRole('button', { name: 'Cancel' }).click();
  });

  test('a handoff that ends is told with what it took', async () => {
    const moved = everyStatus();
    world.tell({
      ...moved,
      guests: moved.guests.map((guest) =>
        guest.state.kind === 'moving-out'
          ? {
              ...guest,
              state: {
                ...{ kind: 'elsewhere', since: moved.at, there: 'running' },
                place: guest.state.to,
              },
            }
          : guest,
      ),
    });
    await show(page, 'handoffs');
    await expect.poll(() => seen(page.locator('main'))).toMatch(/Pause of the guest\s+not known/);
    world.tell(everyStatus());
  });

  test('code in the page reaches nothing but the agent', async () => {
    const outside = createServer((_request, response) => {
      reached += 1;
      response.setHeader('Access-Control-Allow-Origin', '*').end('{}');
    });
    let reached = 0;
    await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}/`;
    const before = complaints.length;
    const tried = await page.evaluate(async (target) => {
      const results: Record<string, string> = {};
      const attempt = async (name: string, act: () => unknown) => {
        results[name] = await Promise.resolve()
          .then(act)
          .then(
            () => 'done',
            () => 'refused',
          );
      };
      const loaded = (element: HTMLElement, start: () => void) =>
        new Promise<void>((resolve, reject) => {
          element.onload = () => resolve();
          element.onerror = () => reject(new Error('refused'));
          start();
        });
      await attempt('fetch', () => fetch(target));
      await attempt('image', () => {
        const image = new Image();
        return loaded(image, () => {
          image.src = `${target}x.png`;
        });
      });
      await attempt('socket', () => {
        return new Promise<void>((resolve, reject) => {
          const socket = new WebSocket(target.replace('http', 'ws'));
          socket.onopen = () => resolve();
          socket.onerror = () => reject(new Error('refused'));
        });
      });
      await attempt('beacon', () => {
        if (!navigator.sendBeacon(target)) throw new Error('refused');
      });
      await attempt('script', () => {
        const script = document.createElement('script');
        return loaded(script, () => {
          script.src = `${target}x.js`;
          document.head.append(script);
        });
      });
      await attempt('frame', () => {
        const frame = document.createElement('iframe');
        frame.src = target;
        document.body.append(frame);
      });
      await attempt('markup', () => {
        document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.hacked=1">');
      });
      await attempt('inline', () => {
        const script = document.createElement('script');
        script.append('window.hacked = 1');
        document.head.append(script);
        if (!('hacked' in window)) throw new Error('refused');
      });
      await attempt('form', () => {
        const form = document.createElement('form');
        form.action = target;
        form.method = 'post';
        document.body.append(form);
        form.submit();
      });
      await attempt('files', () => fetch('file:///etc/passwd'));
      await attempt('cookie', () => {
        if (document.cookie === '') throw new Error('refused');
      });
      return results;
    }, url);
    expect(tried).toMatchObject({
      ...{ fetch: 'refused', image: 'refused', socket: 'refused', script: 'refused' },
      ...{ markup: 'refused', inline: 'refused', files: 'refused', cookie: 'refused' },
    });
    expect(await wasHacked(page)).toBe(false);
    expect(page.url()).not.toContain(url);
    outside.closeAllConnections();
    outside.close();
    expect(reached).toBe(0);
    expect(complaints.length).toBeGreaterThan(before);
  });

  test('an agent that went away is told, what was known stays, and it is found again', async () => {
    const { page: other } = await openWindow(browser, await world.link());
    await other.waitForSelector('[data-guest]');
    const comeBack = await world.leave();
    const alert = other.locator('main > [role=alert]');
    await alert.waitFor();
    expect(await seen(alert)).toMatch(/No connection to the agent\s+The agent does not answer/);
    expect(await other.locator('[data-guest]').count()).toBe(everyGuest().length);
    await expectAccessible(other, 'lost');
    await comeBack();
    await alert.waitFor({ state: 'detached' });
    await other.context().close();
  });
});

test('two screens beside each other: one says why it is not shown, and texts of a display stay texts', async () => {
  const { page, complaints } = await openWindow(browser, await world.link());
  await page.waitForSelector('[data-guest]');
  const [shown, other] = everyGuest();
  await goTo(page, `#/screen/${shown?.id}`);
  await page.locator('.shown canvas').waitFor();
  await page.getByRole('link', { name: `Show ${other?.name} beside it` }).click();
  const missing = page.locator('.screen', { hasText: `${HOSTILE} is not running. Start it.` });
  await missing.waitFor();
  // The guest is asked for what it has copied once somebody is at its screen.
  expect(await page.locator('.screen code').count()).toBe(0);
  await page.locator('.shown canvas').click();
  const copied = page.locator('.screen code');
  await copied.waitFor();
  expect(await seen(copied)).toBe(HOSTILE);
  expect(await page.locator('main img').count()).toBe(0);
  expect(await wasHacked(page)).toBe(false);
  expect(complaints).toEqual([]);
  await page.context().close();
});
