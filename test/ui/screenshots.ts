/**
 * `npm run screenshots`: every view, light and dark, English and Japanese, wide and narrow, into `.cache/screenshots`;
 * with `--readme` those of the README.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Browser } from 'playwright-core';
import type { Status } from '../../src/api/index.ts';
import { buildUi } from '../../src/ui/build.ts';
import { fakePlace, fakeStandby, laptop } from '../api/double.ts';
import { goTo, launchBrowser, openWindow } from './browser.ts';
import { everyGuest, everyStatus, guestIn, startFakeWorld, weakLink } from './fake-world.ts';

const root = join(import.meta.dirname, '..', '..');
/** Of statuses that make a line in the chart, and between them, ms. */
const SAMPLES = 4;
const SAMPLE_MS = 600;

const README_VIEWS = [
  { name: 'window', view: '#/', height: 470, colorScheme: 'light' },
  { name: 'rules', view: '#/rules', height: 620, colorScheme: 'dark' },
  { name: 'places', view: '#/places', height: 620, colorScheme: 'light' },
] as const;

const { values } = parseArgs({ options: { readme: { type: 'boolean', default: false } } });
await using browser = await launchBrowser();
await (values.readme ? forReadme(browser) : everyView(browser));

async function everyView(browser: Browser): Promise<void> {
  const folder = join(root, '.cache', 'screenshots');
  await mkdir(folder, { recursive: true });
  const world = await startFakeWorld(await buildUi(), everyStatus());
  const views = [
    'dashboard',
    'handoffs',
    'places',
    'link',
    'rules',
    'problems',
    'settings',
    'setup',
  ];
  for (const colorScheme of ['light', 'dark'] as const)
    for (const locale of ['en', 'ja'])
      for (const width of [1100, 320]) {
        const viewport = { width, height: 800 };
        const { page } = await openWindow(browser, await world.link(), {
          ...{ colorScheme, locale, viewport },
        });
        await page.waitForSelector('[data-guest]');
        for (let sample = 0; sample < SAMPLES; sample += 1) {
          await page.waitForTimeout(SAMPLE_MS);
          world.tell(everyStatus());
        }
        const first = everyGuest()[0]?.id;
        for (const view of [...views, `guest/${first}`, `screen/${first}`]) {
          await goTo(page, `#/${view}`);
          await page.waitForSelector('main h1');
          await page.waitForSelector('.loading', { state: 'detached' });
          const name = `${view.split('/')[0]}-${locale}-${colorScheme}-${width}.png`;
          await page.screenshot({ path: join(folder, name), fullPage: true });
        }
        await page.context().close();
      }
  await world.close();
  await freshLink(browser, folder);
  console.log(folder);
}

/** The link of a machine on a wire, of which little is known yet. */
async function freshLink(browser: Browser, folder: string): Promise<void> {
  const link = weakLink({
    sensor: { name: 'iw', state: 'missing' },
    ...{ connected: false, signalDbm: null, rateBitsPerSecond: null, forecast: null },
  });
  const world = await startFakeWorld(await buildUi(), everyStatus({ link }));
  for (const [locale, colorScheme] of [
    ['en', 'light'],
    ['ja', 'dark'],
  ] as const) {
    const { page } = await openWindow(browser, await world.link(), {
      ...{ colorScheme, locale, viewport: { width: 1100, height: 800 } },
    });
    await page.waitForSelector('[data-guest]');
    await goTo(page, '#/link');
    for (const moment of ['first', 'second']) {
      await page.waitForSelector('main h1');
      const name = `link-${moment}-${locale}-${colorScheme}-1100.png`;
      await page.screenshot({ path: join(folder, name), fullPage: true });
      await page.waitForTimeout(SAMPLE_MS);
      world.tell(everyStatus({ link }));
      await page.waitForTimeout(SAMPLE_MS);
    }
    await page.context().close();
  }
  await world.close();
}

async function forReadme(browser: Browser): Promise<void> {
  const since = new Date().toISOString();
  const cloud = everyStatus().places[1];
  const status: Status = everyStatus({
    guests: [
      guestIn(
        'dev-desktop',
        { kind: 'running', since, pid: 4711 },
        {
          standby: fakeStandby({ estimateMs: 410 }),
        },
      ),
      guestIn('build-server', {
        ...{ kind: 'elsewhere', since, there: 'running' },
        place: { id: cloud?.id ?? '', name: cloud?.name ?? '' },
      }),
    ],
    places: [fakePlace({ ...laptop, profile: 'device', self: true }), fakePlace()],
    warnings: [],
  });
  const world = await startFakeWorld(await buildUi(), status);
  const folder = join(root, 'resources', 'screenshots');
  await mkdir(folder, { recursive: true });
  for (const { name, view, height, colorScheme } of README_VIEWS) {
    const viewport = { width: 1100, height };
    const { page } = await openWindow(browser, await world.link(), { viewport, colorScheme });
    await page.waitForSelector('[data-guest]');
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      world.tell(status);
      await page.waitForTimeout(SAMPLE_MS);
    }
    await goTo(page, view);
    await page.waitForSelector('.loading', { state: 'detached' });
    const path = join(folder, `${name}.png`);
    await page.screenshot({ path });
    await page.context().close();
    console.log(path);
  }
  await world.close();
}
