/** Devices nearby, receiving and its question in a real browser, with a double of the agent. */
import { EventEmitter, on } from 'node:events';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { IncomingView, NearbyView, RightsView, Status } from '../../src/api/index.ts';
import { buildUi } from '../../src/ui/build.ts';
import { cloud, fakePlace, laptop } from '../api/double.ts';
import { goTo, launchBrowser, openWindow, wasHacked } from '../ui/browser.ts';
import {
  everyGuest,
  everyStatus,
  type FakeWorld,
  HOSTILE,
  startFakeWorld,
} from '../ui/fake-world.ts';
import { expectAccessible, expectFits } from '../ui/page-checks.ts';

const rights: RightsView = {
  ...{ receive: 'ask', own: false, fetch: true },
  limits: { guests: 2, memoryMiB: null, diskBytes: null },
};
const tablet = { id: 'd3'.repeat(32), name: HOSTILE };
const id = '22222222-2222-4222-8222-222222222222';
const nearby: NearbyView = {
  ...{ visibleAs: 'laptop', problem: null, attempt: null },
  devices: [{ ...tablet, profile: 'device', paired: false }],
};
const attempt = (state: NonNullable<NearbyView['attempt']>['state']): NearbyView => ({
  ...nearby,
  attempt: { id, direction: 'there', peer: tablet, msLeft: 60_000, state },
});
const comparing = attempt({ kind: 'comparing', code: '012345', here: false, there: true });

function status(incoming: IncomingView[] = []): Status {
  return everyStatus({
    places: [
      fakePlace({ ...laptop, profile: 'device', self: true }),
      fakePlace({ rights }),
      fakePlace({ ...tablet, profile: 'device', rights: { ...rights, receive: 'off', own: true } }),
    ],
    receiving: { receive: 'ask', listens: ['192.0.2.7:7000'] },
    incoming,
  });
}

function question(): IncomingView {
  const at = Date.now();
  return {
    ...{ id, guest: { id: everyGuest()[0]?.id ?? '', name: 'desktop' }, from: tablet },
    ...{ standby: false, memoryMiB: 2048, vcpus: 2, diskBytes: 4e9 },
    since: new Date(at).toISOString(),
    expiresAt: new Date(at + 45_000).toISOString(),
  };
}

let browser: Browser & AsyncDisposable;
let world: FakeWorld;
let said: unknown[] = [];
const views = new EventEmitter();
let view = nearby;
const tell = (next: NearbyView) => {
  view = next;
  views.emit('view');
};
beforeAll(async () => {
  const [directory, launched] = await Promise.all([buildUi(), launchBrowser()]);
  browser = launched;
  const take = (what: string) => async (input: unknown) => {
    said.push([what, input]);
    return {};
  };
  world = await startFakeWorld(directory, status(), {
    'nearby.watch': async (_input, { emit, signal }) => {
      said.push('open');
      emit(view);
      try {
        for await (const _one of on(views, 'view', { signal })) emit(view);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      said.push('closed');
      return {};
    },
    'nearby.pair': take('pair'),
    'nearby.answer': take('answer'),
    'receiving.set': async (input) => {
      said.push(['set', input]);
      return { receive: 'ask', listens: [], places: [] };
    },
    'incoming.answer': async (input) => {
      said.push(['incoming', input]);
      world.tell(status());
      return question();
    },
  });
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await world?.close();
});
beforeEach(() => {
  said = [];
  view = nearby;
  world.tell(status());
});

async function open(locale: 'en' | 'ja'): Promise<Page> {
  const width = locale === 'en' ? 1100 : 320;
  const colorScheme = locale === 'en' ? 'light' : 'dark';
  const options = { colorScheme, locale, viewport: { width, height: 700 } } as const;
  const { page } = await openWindow(browser, await world.link(), options);
  await page.waitForSelector('[data-guest]');
  return page;
}

const looksWell = async (page: Page, what: string) => {
  await expectAccessible(page, what);
  await expectFits(page, what);
};

test.each(['en', 'ja'] as const)('pairing with a device nearby, %s', async (locale) => {
  const page = await open(locale);
  await goTo(page, '#/places/nearby');
  await page.waitForSelector('[data-device]');
  await looksWell(page, 'devices');
  await page.click('[data-device] button');
  await expect.poll(() => said).toContainEqual(['pair', { device: tablet.id }]);
  tell(comparing);
  await page.waitForSelector('output.code');
  expect(await page.textContent('output.code')).toBe('012 345');
  await looksWell(page, 'code');
  await page.click('dialog .button.primary');
  await expect.poll(() => said).toContainEqual(['answer', { attempt: id, answer: 'same' }]);
  tell(attempt({ kind: 'failed', code: 'pairing-timed-out', text: 'Late', remedy: 'Again' }));
  const failure = page.locator('dialog .callout.problem');
  await failure.waitFor();
  expect(await failure.textContent()).toContain(
    locale === 'en' ? 'not confirmed in time' : '時間内に確認されませんでした',
  );
  await looksWell(page, 'failure');
  tell(attempt({ kind: 'paired', place: tablet }));
  await page.waitForSelector('dialog .callout.safe');
  await page.keyboard.press('Escape');
  await expect.poll(() => said).toContain('closed');
  expect(await wasHacked(page)).toBe(false);
  await page.context().close();
});

test('a question is answered, put aside and answered after all', async () => {
  const page = await open('en');
  world.tell(status([question()]));
  const buttons = page.locator('[data-incoming] button');
  await buttons.first().waitFor();
  await looksWell(page, 'question');
  expect(await page.textContent('dialog')).toMatch(/2\.15 GB.*4\.00 GB.*Refused in 4\d s/s);
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  await looksWell(page, 'put aside');
  await page.click('main .callout button');
  await buttons.last().click();
  await expect.poll(() => said).toContainEqual(['incoming', { incoming: id, answer: 'once' }]);
  await page.waitForSelector('dialog', { state: 'detached' });
  expect(await wasHacked(page)).toBe(false);
  await page.context().close();
});

test('what is received is set for all places, and for one', async () => {
  const page = await open('ja');
  await goTo(page, '#/places');
  await page.locator('section select').selectOption('always');
  await expect.poll(() => said).toContainEqual(['set', { receive: 'always' }]);
  await page.click(`[data-place="${cloud.id}"] .row button:first-child`);
  await page.waitForSelector('dialog[open]');
  await looksWell(page, 'rights');
  await page.selectOption('dialog select', 'off');
  await page.uncheck('dialog input[type=checkbox]');
  await page.fill('dialog fieldset div:nth-of-type(2) input', '1.5');
  await page.click('dialog button[type=submit]');
  const limits = { guests: 2, memoryMiB: 1536, diskBytes: null };
  const change = { place: cloud.id, receive: 'off', fetch: false, limits };
  await expect.poll(() => said).toContainEqual(['set', change]);
  await page.waitForSelector('dialog', { state: 'detached' });
  await page.context().close();
});
