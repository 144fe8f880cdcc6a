/**
 * `npm run bench -- screen`: frames a second and from key to picture, with the guest here and at a site over a link, and how
 * long the picture stands still in an armed handoff; in our window, and in a plain VNC viewer beside it. Each in turn, on
 * one guest whose picture keeps moving.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { asSojournError } from '../../../src/common/index.ts';
import { guestPaths } from '../../../src/guest/index.ts';
import { buildUi } from '../../../src/ui/build.ts';
import { GUEST, type Side, TwoPlaces } from '../../integration/two-places.ts';
import { ADDRESSES, enterLab } from '../../lab/index.ts';
import { launchBrowser, openWindow } from '../../ui/browser.ts';
import { order } from '../handoff/index.ts';
import { delays, framesPerSecond, longestStandstill, quantile } from './picture.ts';
import { type BenchViewer, measure, plainViewer, windowViewer } from './viewers.ts';

const USAGE = `npm run bench -- screen [options]

  --fps N       pictures that the guest draws a second (default 20)
  --rate N      of the link, Mbit/s (default 20)
  --rtt N       of the link, ms (default 30)
  --keys N      keys pressed for each measurement (default 30)
  --handoffs N  armed handoffs there and back (default 3)
  --json        one JSON object a line on standard output
  --help        print this
`;
/** Standing still longer than this in an armed handoff is too long, ms. */
const GOAL_MS = 1_000;
const PHASE_MS = 12_000;
const AFTER_MS = 3_000;
const ARM_LIMIT_MS = 180_000;
const ORDER_LIMIT_MS = 60_000;
const RELAY = fileURLToPath(new URL('./relay.ts', import.meta.url));
const RELAY_PORT = 5900;

interface Options {
  readonly fps: number;
  readonly rate: number;
  readonly rtt: number;
  readonly keys: number;
  readonly handoffs: number;
  readonly json: boolean;
}

interface Result {
  readonly what: string;
  readonly viewer: string;
  readonly [figure: string]: string | number | null;
}

class ScreenBench {
  readonly #places: TwoPlaces;
  readonly #options: Options;
  readonly #tell: (result: Result) => void;
  #relayed = false;

  constructor(places: TwoPlaces, options: Options, tell: (result: Result) => void) {
    this.#places = places;
    this.#options = options;
    this.#tell = tell;
  }

  /** Returns whether the goal is met. */
  async run(): Promise<boolean> {
    const { lab, device } = this.#places;
    const { fps, handoffs } = this.#options;
    const guest = await device.guest(GUEST);
    if (guest === undefined) throw new Error('there is no guest');
    await order(lab.correspondent, guest.network.hoa4, [`picture ${fps}`], ORDER_LIMIT_MS);
    await buildUi();
    await using browser = await launchBrowser(lab.device);
    const { url } = await device.api.call('ui.open', { screenOf: GUEST });
    const { page } = await openWindow(browser, url, { viewport: { width: 1280, height: 960 } });
    await page.locator('.shown canvas').waitFor();
    const window = await windowViewer(page);
    await this.#look(window, 'here');
    await this.#lookPlainly('device');
    let met = true;
    for (let count = 0; count < handoffs; count++) {
      met = (await this.#move(window, 'device')) && met;
      if (count === 0) {
        await this.#look(window, 'at the site');
        await this.#lookPlainly('site');
      }
      met = (await this.#move(window, 'site')) && met;
    }
    await window.close();
    return met;
  }

  async #look(viewer: BenchViewer, where: string): Promise<void> {
    const { seen, pressed } = await measure(viewer, this.#options.keys, PHASE_MS);
    const waits = delays(pressed, seen);
    this.#tell({
      what: where,
      viewer: viewer.name,
      framesPerSecond: rounded(framesPerSecond(seen), 1),
      keyToPictureMs: rounded(quantile(waits, 0.5)),
      keyToPicture95Ms: rounded(quantile(waits, 0.95)),
      keysLost: waits.filter((wait) => !Number.isFinite(wait)).length,
    });
  }

  async #lookPlainly(side: Side): Promise<void> {
    const viewer = await plainViewer(this.#places.lab.device, await this.#displayOf(side));
    await sleep(AFTER_MS);
    await this.#look(viewer, side === 'device' ? 'here' : 'at the site');
    await viewer.close();
  }

  /** Hands the guest over from there, with both viewers open. */
  async #move(window: BenchViewer, from: Side): Promise<boolean> {
    const source = this.#places.place(from);
    const target = this.#places.other(from);
    await source.api.call(
      'standby.arm',
      // The way back would fill while the picture at the site is measured.
      { guest: GUEST, at: target.name, wait: true, bothWays: false },
      { signal: AbortSignal.timeout(ARM_LIMIT_MS) },
    );
    const plain = await plainViewer(this.#places.lab.device, await this.#displayOf(from));
    await sleep(AFTER_MS);
    await Promise.all([window.take(), plain.take()]);
    const before = performance.timeOrigin + performance.now();
    const ended = once(plain.process, 'exit').then(
      () => performance.timeOrigin + performance.now(),
    );
    const result = await source.api.call('handoff.start', { guest: GUEST, to: target.name });
    await sleep(AFTER_MS);
    const end = performance.timeOrigin + performance.now();
    const seen = (await window.take()).filter(({ at }) => at >= before - GOAL_MS);
    const last = (await plain.take()).at(-1);
    const goneAt = await Promise.race([ended, sleep(GOAL_MS).then(() => null)]);
    const still = longestStandstill(seen, end);
    const direction = from === 'device' ? 'to the site' : 'back';
    this.#tell({
      what: `armed handoff ${direction}`,
      viewer: 'window',
      standsStillMs: rounded(still),
      guestPauseMs: rounded(result.pauseMs),
      triggerToRunningMs: rounded(result.triggerToRunningMs),
      clicks: 0,
    });
    this.#tell({
      what: `armed handoff ${direction}`,
      viewer: 'plain',
      standsStillMs: null,
      lastPictureAfterMs: last === undefined ? null : rounded(last.at - before),
      endedAfterMs: goneAt === null ? null : rounded(goneAt - before),
    });
    await plain.close();
    return still <= GOAL_MS;
  }

  /** Where a plain viewer on the device finds the display. */
  async #displayOf(side: Side): Promise<readonly string[]> {
    const place = this.#places.place(side);
    const { socketPath } = await place.api.call('guest.console', { guest: GUEST });
    const { vncSocket } = guestPaths(join(socketPath, '..'));
    if (side === 'device') return [vncSocket];
    if (!this.#relayed) {
      const at = [ADDRESSES.site4, `${RELAY_PORT}`, vncSocket];
      const relay = await this.#places.lab.site.spawn([process.execPath, RELAY, ...at], {
        stdout: 'pipe',
      });
      if (relay.stdout !== null) await once(relay.stdout, 'data');
      this.#relayed = true;
    }
    return [ADDRESSES.site4, `${RELAY_PORT}`];
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      fps: { type: 'string', default: '20' },
      rate: { type: 'string', default: '20' },
      rtt: { type: 'string', default: '30' },
      keys: { type: 'string', default: '30' },
      handoffs: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const [fps, rate, rtt, keys, handoffs] = [
    values.fps,
    values.rate,
    values.rtt,
    values.keys,
    values.handoffs,
  ].map(positive) as [number, number, number, number, number];
  const { json } = values;
  await enterLab();
  const link = { rateBitsPerSecond: rate * 1e6, delayMs: rtt / 2 };
  const places = await TwoPlaces.create({ display: true, up: link, down: link });
  try {
    const tell = (result: Result) =>
      process.stdout.write(`${json ? JSON.stringify(result) : lineOf(result)}\n`);
    const met = await new ScreenBench(places, { fps, rate, rtt, keys, handoffs, json }, tell).run();
    if (!met && !json) console.log(`the picture stood still for more than ${GOAL_MS} ms`);
    return met ? 0 : 1;
  } finally {
    await places.close();
  }
}

function lineOf({ what, viewer, ...figures }: Result): string {
  const words = Object.entries(figures).map(([name, value]) => `${name} ${value ?? '-'}`);
  return `${what.padEnd(28)} ${viewer.padEnd(8)} ${words.join('  ')}`;
}

function positive(text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw new Error(`${JSON.stringify(text)} is not a positive number; see --help`);
}

function rounded(value: number, digits = 0): number {
  return Number(value.toFixed(digits));
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${asSojournError(error).message}\n`);
  return 1;
});
