/** Two real agents in one network pair by comparing codes; a guest comes with consent, and not without. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { IncomingView } from '../../src/api/index.ts';
import type { SojournError } from '../../src/common/index.ts';
import { TinyConsole } from '../lab/tiny-guest.ts';
import type { AgentPlace } from './agent-place.ts';
import { within } from './agent-place.ts';
import { ANCHOR, connected, LocalNetwork, PairingPage, pairNearby } from './local-network.ts';

const DEADLINE_MS = 20_000;
let network: LocalNetwork;
let desk: AgentPlace;
let tablet: AgentPlace;
let shell: TinyConsole;
beforeAll(async () => {
  network = await LocalNetwork.create([
    { name: 'desk', side: 'site', flags: ['--listen', '0.0.0.0:7420', ...ANCHOR] },
    { name: 'tablet', side: 'device', flags: ['--answer-within', '1'] },
  ]);
  [desk, tablet] = network.places as [AgentPlace, AgentPlace];
  // It boots while the two pair.
  await desk.api.call('guest.create', { name: 'wanderer', image: 'tiny' });
  await desk.api.call('guest.start', { guest: 'wanderer' });
  const { socketPath } = await desk.api.call('guest.console', { guest: 'wanderer' });
  shell = await TinyConsole.connect(socketPath);
});
afterAll(() => network?.close());

/** An emulated guest on a busy machine may not stop in time: then it stays, and another try is as good. */
async function handOff(from: AgentPlace, to: AgentPlace, tries = 3): Promise<string> {
  const code = await from.api.call('handoff.start', { guest: 'wanderer', to: to.name }).then(
    () => 'handed over',
    (error: SojournError) => error.code,
  );
  return code === 'switchover-stalled' && tries > 1 ? handOff(from, to, tries - 1) : code;
}

const runsAt = (place: AgentPlace) =>
  expect
    .poll(async () => (await place.guest('wanderer'))?.state.kind, { timeout: DEADLINE_MS })
    .toBe('running');

/** Resolves with the question that a person at the tablet sees. */
async function asked(): Promise<IncomingView> {
  const found = Promise.withResolvers<IncomingView>();
  const stop = new AbortController();
  tablet.watch(({ incoming = [] }) => {
    if (incoming[0] !== undefined) found.resolve(incoming[0]);
  }, stop.signal);
  try {
    return await within(found.promise, DEADLINE_MS, 'a question');
  } finally {
    stop.abort();
  }
}

test('they find one another, and part when the codes are said to differ', async () => {
  const [here, there] = [new PairingPage(desk), new PairingPage(tablet)];
  await here.sees(({ devices }) => devices.find(({ name }) => name === 'tablet'));
  await tablet.api.call('nearby.pair', { device: 'desk' });
  const [mine, theirs] = await Promise.all([here.comparing(), there.comparing()]);
  expect(mine.code).toBe(theirs.code);
  await here.answer('different');
  await there.sees(({ attempt }) => attempt?.state.kind === 'failed');
  await Promise.all([here.close(), there.close()]);
  const known = await Promise.all([desk, tablet].map((place) => place.api.call('place.list', {})));
  expect(known.map(({ length }) => length)).toEqual([1, 1]);
});

test('they pair when both people confirm, and connect', async () => {
  await pairNearby(desk, tablet);
  await Promise.all([connected(desk, 'tablet'), connected(tablet, 'desk')]);
});

test('a guest that nobody lets in in time stays, and leaves nothing behind', async () => {
  const outcome = handOff(desk, tablet);
  expect(await asked()).toMatchObject({
    guest: { name: 'wanderer' },
    from: { name: 'desk' },
    memoryMiB: 128,
  });
  expect(await outcome).toBe('incoming-timed-out');
  await runsAt(desk);
  expect(await tablet.api.call('guest.list', {})).toEqual([]);
  expect(tablet.guestPids()).toEqual([]);
});

test('a guest that is let in comes', async () => {
  await shell.ready();
  shell.close();
  const outcome = handOff(desk, tablet);
  const { id } = await asked();
  await tablet.api.call('incoming.answer', { incoming: id, answer: 'once' });
  expect(await outcome).toBe('handed over');
  await runsAt(tablet);
});

test('a place that is forgotten is cut off at once, and told so', async () => {
  await tablet.api.call('place.forget', { place: 'desk' });
  await connected(desk, 'tablet', false);
  expect((await desk.status()).warnings.map(({ code }) => code)).toContain('pairing-ended-there');
  expect(await handOff(desk, desk)).toMatch(/^(not-paired|peer-unreachable)$/);
  expect((await tablet.api.call('receiving.show', {})).places).toEqual([]);
  await runsAt(tablet);
});
