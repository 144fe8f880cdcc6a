/** A device whose link is about to be lost hands its guest over by itself, on real parts; and nobody who talks to it is cut off. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Status } from '../../src/api/index.ts';
import { type LinkSample, RecordingWriter, rulesSchema } from '../../src/link/index.ts';
import { within } from './agent-place.ts';
import { GUEST, TwoPlaces } from './two-places.ts';

const DEADLINE_MS = 60_000;
const SECOND = 1000;
/** One level a second, dBm; undefined is no link. */
const levels = [
  ...Array.from({ length: 3 }, () => -50),
  ...Array.from({ length: 16 }, (_, index) => -50 - 2 * index),
  ...Array.from({ length: 4 }, () => undefined),
  ...Array.from({ length: 15 }, () => -50),
];
const GONE_AT_MS = 19 * SECOND;
const BACK_AT_MS = 23 * SECOND;

function recording(): string {
  const writer = new RecordingWriter();
  const lines = levels.map((signalDbm, index) => {
    const connected = signalDbm !== undefined;
    const heard = { signalDbm, txRateMbps: 100, frequencyMhz: 5180, bssid: 'a' };
    const sample = { atMs: index * SECOND, medium: 'wifi', connected } satisfies LinkSample;
    return writer.line(connected ? { ...sample, ...heard } : sample);
  });
  return writer.header() + lines.join('');
}

let places: TwoPlaces;
beforeAll(async () => {
  places = await TwoPlaces.create({
    deviceFlags: (lab) => {
      const file = join(lab.directory, 'walk.jsonl');
      writeFileSync(file, recording());
      return ['--link-trace', file, '--link-trace-held'];
    },
  });
}, 120_000);
afterAll(() => places?.close());

async function seen(what: string, matches: (status: Status) => boolean): Promise<Status> {
  const found = Promise.withResolvers<Status>();
  const stop = new AbortController();
  places.device.watch((status) => {
    if (matches(status)) found.resolve(status);
  }, stop.signal);
  try {
    return await within(found.promise, DEADLINE_MS, what);
  } finally {
    stop.abort();
  }
}

const guestOf = ({ guests }: Status) => guests.find(({ name }) => name === GUEST);
const actions = ({ link }: Status) => (link?.policy.recent ?? []).map(({ action }) => action);

test('it is armed, leaves before the loss, answers meanwhile, and comes back', async () => {
  const { device, lab, witness } = places;
  const rules = rulesSchema.parse({ return: { automatic: true, afterSeconds: 3 } });
  await device.api.call('policy.set', { rules });
  expect(guestOf(await device.status())?.standby).toBeNull();
  await device.sojourn('policy', 'auto', 'on');
  await seen('the guest to be armed by itself', (status) => {
    const standby = guestOf(status)?.standby;
    return standby?.state === 'armed' && standby.residueBytes !== null;
  });

  await device.api.call('link.play', {});
  await lab.link.play([
    { atMs: GONE_AT_MS, set: { state: 'cut' } },
    { atMs: BACK_AT_MS, set: { state: 'up' } },
  ]);
  const left = await seen('the guest to leave', (s) => guestOf(s)?.state.kind === 'elsewhere');
  expect(actions(left)).toEqual(expect.arrayContaining(['arm', 'fire']));
  expect(left.link?.policy.recent.find(({ action }) => action === 'fire')?.why).toMatch(/dBm/);
  await seen('the link to be lost', ({ link }) => link?.connected === false);
  await witness.next(5, DEADLINE_MS);
  expect(witness.problems).toEqual([]);

  const back = await seen('the guest to return', (s) => guestOf(s)?.state.kind === 'running');
  expect(actions(back)).toContain('return');
  expect(await places.settled()).toBe('device');
  await witness.next(5, DEADLINE_MS);
  expect(witness.problems).toEqual([]);
  const text = await device.sojourn('status');
  expect(text).toMatch(/automatic handoff is on/);
}, 150_000);
