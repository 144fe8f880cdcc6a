/** A limit of the receiver that is reached while a guest of its peer stands by there: two whole agents. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StandbyView } from '../../src/api/index.ts';
import type { LogLine } from './agent-place.ts';
import { GUEST, TwoPlaces } from './two-places.ts';

const DEADLINE_MS = 60_000;
/** What the agent logs. */
const TOLD = 'guest does not stand by';
const STEP = 'handoff, source';
let places: TwoPlaces;
beforeAll(async () => {
  places = await TwoPlaces.create();
}, 120_000);
afterAll(() => places?.close());

async function standby(): Promise<StandbyView | null | undefined> {
  return (await places.device.guest(GUEST))?.standby;
}

test('the guest goes on, its user is told once, and it is armed again by itself when there is room', async () => {
  const { device, site, witness } = places;
  await device.sojourn('arm', GUEST, '--at', site.name, '--wait');
  const lines: LogLine[] = [];
  device.on('line', (line) => lines.push(line));
  const told = () => lines.filter(({ msg, code }) => msg === TOLD && code === 'quota-reached');
  const refused = () => lines.filter(({ msg, from }) => msg === STEP && from === 'preflight');

  await site.sojourn('receive', '--from', device.name, '--memory', '64');
  // What stands by may stay; when it has ended there is no room for another.
  const [pid] = site.guestPids('incoming');
  process.kill(pid ?? 0, 'SIGKILL');
  await expect.poll(() => refused().length, { timeout: DEADLINE_MS }).toBeGreaterThanOrEqual(3);
  await expect.poll(async () => (await standby())?.state).toBe('unavailable');
  expect(await standby()).toMatchObject({
    reasonCode: 'quota-reached',
    reason: expect.stringMatching(/gives the guests of .* 64 MiB of memory/),
    remedy: expect.stringContaining('raise the limit'),
  });
  expect(told()).toHaveLength(1);
  expect(site.guestPids('incoming')).toEqual([]);
  await witness.next(5, DEADLINE_MS);
  expect((await device.guest(GUEST))?.state.kind).toBe('running');

  await site.sojourn('receive', '--from', device.name, '--memory', 'none');
  const armed = async () => (await standby())?.state;
  await expect.poll(armed, { timeout: DEADLINE_MS }).toBe('armed');
  expect(site.guestPids('incoming')).toHaveLength(1);
  expect(told()).toHaveLength(1);
  expect((await device.guest(GUEST))?.epoch).toBe(1);
  expect(witness.problems).toEqual([]);
}, 240_000);
