/** The two viewers: our window in a browser, and a plain one beside it. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { endProcess, type Namespace } from '../../lab/index.ts';
import { BITS, type Seen, SQUARE } from './picture.ts';

const PLAIN = fileURLToPath(new URL('./plain-viewer.ts', import.meta.url));
/** Between two keys, ms: longer than any sane delay, and out of step with the frames. */
const KEY_SPACING_MS = 317;

export interface BenchViewer {
  readonly name: 'window' | 'plain';
  /** What it has seen since the last call. */
  take(): Promise<Seen[]>;
  /** Presses a key; resolves with when. */
  press(): Promise<number>;
  close(): Promise<void>;
}

export interface Measured {
  readonly seen: readonly Seen[];
  readonly pressed: readonly number[];
}

export async function measure(viewer: BenchViewer, keys: number, ms: number): Promise<Measured> {
  await viewer.take();
  const pressed: number[] = [];
  for (let count = 0; count < keys; count++) {
    await sleep(KEY_SPACING_MS);
    pressed.push(await viewer.press());
  }
  await sleep(Math.max(KEY_SPACING_MS, ms - keys * KEY_SPACING_MS));
  return { seen: await viewer.take(), pressed };
}

/** Reads the picture in the page with every frame that the browser paints. */
const WATCH = `
  globalThis.watched = { seen: [], pressed: [] };
  addEventListener('keydown', () => watched.pressed.push(performance.timeOrigin + performance.now()), true);
  const number = (data) => {
    let value = 0;
    for (let bit = 0; bit < ${BITS}; bit++)
      value = value * 2 + (data[(bit * ${SQUARE} + ${SQUARE / 2}) * 4] > 127 ? 1 : 0);
    return value;
  };
  const look = () => {
    const canvas = document.querySelector('.shown canvas');
    if (canvas !== null && canvas.width > 0) {
      const row = (index) =>
        canvas.getContext('2d').getImageData(0, index * ${SQUARE} + ${SQUARE / 2}, ${BITS * SQUARE}, 1).data;
      const at = performance.timeOrigin + performance.now();
      watched.seen.push({ at, frame: number(row(0)), keys: number(row(1)) });
    }
    requestAnimationFrame(look);
  };
  look();
`;

export async function windowViewer(page: Page): Promise<BenchViewer> {
  await page.locator('.shown canvas').click();
  await page.evaluate(WATCH);
  return {
    name: 'window',
    take: () => page.evaluate('watched.seen.splice(0)'),
    press: async () => {
      await page.keyboard.press('a');
      return page.evaluate('watched.pressed.at(-1)');
    },
    close: async () => {
      await page.context().close();
    },
  };
}

/** @param to a path, or a host and a port */
export async function plainViewer(
  namespace: Namespace,
  to: readonly string[],
): Promise<BenchViewer & { readonly process: ChildProcess }> {
  const child = await namespace.spawn([process.execPath, PLAIN, ...to], { stdout: 'pipe' });
  const seen: Seen[] = [];
  if (child.stdout === null) throw new Error('the viewer has no output');
  createInterface({ input: child.stdout }).on('line', (line) => seen.push(JSON.parse(line)));
  return {
    name: 'plain',
    process: child,
    take: async () => seen.splice(0),
    press: async () => {
      const at = performance.timeOrigin + performance.now();
      child.stdin?.write('a\n');
      return at;
    },
    close: () => endProcess(child),
  };
}
