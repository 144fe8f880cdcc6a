/**
 * Trials of a standby that take minutes, each in places of its own (`npm run bench -- faults --long [NAME...]`):
 *
 *   cut           the link is gone for five minutes: the standby goes on where it was, as bytes on the link prove
 *   address       the device's address changes: the same
 *   disk-full     the destination has no room left for what the guest writes
 *   memory-gone   the destination's QEMU is killed as by the kernel when memory is short, and memory stays short
 *   qemu-crash    the destination's QEMU crashes
 *
 * In the last three the guest must not notice, its user is told once, and it stands by again by itself when it can.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StandbyView } from '../../../src/api/index.ts';
import { GUEST, type PlacesOptions } from '../../integration/two-places.ts';
import { monotonicMs } from '../../integration/witness.ts';
import type { Lab } from '../../lab/index.ts';
import { Arena } from './arena.ts';
import { hearOut, keepEvidence } from './verdict.ts';

const CUT_MS = 5 * 60_000;
/** After which a standby that could go on has done so. */
const RESUME_MS = 60_000;
/** A standby that is not much older than its upkeep makes it, ms. */
const FRESH_MS = 5_000;
/** Of the bytes of the first fill: more would be another one. */
const RESUMED_SHARE = 0.25;
/** Long enough for some tries of a standby that cannot be, ms. */
const HOPELESS_MS = 45_000;
/** The longest pause between two tries is five minutes. */
const BACK_OFF_MS = 6 * 60_000;
const LOOK_EVERY_MS = 250;
/** A guest that nothing happens to. */
const STANDSTILL_MS = 2_500;
/** More than a guest's disk may grow to, or its changes would be kept elsewhere. */
const TMPFS_MIB = 3072;
/** Where the lab's XDG_RUNTIME_DIR is, and where overlays go that have no room there. */
const SHARED_MEMORY = '/dev/shm';

export interface OrdealResult {
  readonly ordeal: string;
  readonly outcome: 'passed' | 'failed';
  readonly problems: readonly string[];
  readonly figures: Readonly<Record<string, number | string>>;
  readonly seconds: number;
}

interface Ordeal {
  readonly arena: Arena;
  readonly figures: Record<string, number | string>;
  readonly problems: string[];
}

const ORDEALS: Readonly<
  Record<string, { readonly options: PlacesOptions; readonly run: (of: Ordeal) => Promise<void> }>
> = {
  cut: { options: {}, run: (ordeal) => outage(ordeal, cut) },
  address: { options: {}, run: (ordeal) => outage(ordeal, changeAddress) },
  'disk-full': { options: { siteThrough: ownLimits }, run: diskFull },
  'memory-gone': { options: { siteThrough: ownLimits }, run: memoryGone },
  'qemu-crash': { options: {}, run: qemuCrash },
};
export const ORDEAL_NAMES = Object.keys(ORDEALS);

/** Never rejects but for an unknown name. */
export async function runOrdeal(name: string, evidence: string): Promise<OrdealResult> {
  const chosen = ORDEALS[name];
  if (chosen === undefined) throw new Error(`There is no ordeal ${name}`);
  const began = performance.now();
  const problems: string[] = [];
  const figures: Record<string, number | string> = {};
  let arena: Arena | undefined;
  try {
    arena = await Arena.create(chosen.options);
    const log = join(arena.places.lab.directory, `${name}.trial`);
    await arena.places.ready('device');
    await arena.observe(log);
    await chosen.run({ arena, figures, problems });
    const side = await arena.places.settled();
    const verdict = await hearOut(arena, log);
    problems.push(...verdict.problems);
    figures.longestSilenceMs = Math.round(verdict.longestSilenceMs);
    figures.longestStandstillMs = Math.round(verdict.longestStandstillMs);
    arena.stopObserving();
    arena.places.witness.ask('disk 0');
    await arena.places.disarm(side);
    for (const line of await arena.leftovers(side)) problems.push(`left behind: ${line}`);
  } catch (error) {
    problems.push(`${error instanceof Error ? error.message : error}`);
  }
  arena?.stopObserving();
  if (arena !== undefined && problems.length > 0) await keepEvidence(arena, join(evidence, name));
  await arena?.[Symbol.asyncDispose]();
  const seconds = Math.round((performance.now() - began) / 1000);
  return {
    ordeal: name,
    outcome: problems.length === 0 ? 'passed' : 'failed',
    ...{ problems, figures, seconds },
  };
}

async function outage(
  { arena, figures, problems }: Ordeal,
  happen: (arena: Arena, during: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const { places } = arena;
  const before = await onLink(arena);
  await places.arm('device');
  await standbyIs(arena, isFresh, RESUME_MS);
  const filled = (await onLink(arena)) - before;
  let begun = 0;
  places.device.on('line', (line) => {
    if (line.msg === 'handoff, source' && line.from === 'preflight') begun += 1;
  });
  arena.note(`fault ${monotonicMs()} outage`);
  arena.note(`limit ${STANDSTILL_MS}`);
  let meanwhile: StandbyView | null = null;
  await happen(arena, async () => {
    meanwhile = await places.standby('device');
  });
  arena.note(`mended ${monotonicMs()}`);
  const mended = await onLink(arena);
  const since = performance.now();
  await standbyIs(arena, isFresh, RESUME_MS);
  const resumed = (await onLink(arena)) - mended;
  Object.assign(figures, {
    filledBytes: filled,
    resumedBytes: resumed,
    freshAgainMs: Math.round(performance.now() - since),
    meanwhile: describe(meanwhile),
  });
  if (begun > 0) problems.push(`it began anew ${begun} times`);
  if (resumed > filled * RESUMED_SHARE)
    problems.push(`${resumed} bytes to go on, ${filled} to fill`);
  const moved = await places.move('device');
  figures.triggerToRunningMs = Math.round(moved.triggerToRunningMs);
  figures.kind = moved.kind;
  if (moved.kind !== 'armed') problems.push(`the handoff was ${moved.kind}`);
}

async function cut({ places }: Arena, during: () => Promise<void>): Promise<void> {
  await places.lab.link.cut();
  await sleep(CUT_MS);
  await during();
  await places.mendLink();
}

/** As by a lease of another network: what was bound to the old address never hears again. */
async function changeAddress(arena: Arena, during: () => Promise<void>): Promise<void> {
  await arena.places.lab.device.ip(
    'address del 192.168.50.2/24 dev wlan0',
    'address add 192.168.50.77/24 dev wlan0',
    'route replace default via 192.168.50.1',
  );
  // The dead connection is found out after ten seconds without an answer.
  await standbyIs(arena, (standby) => !isFresh(standby), RESUME_MS);
  await during();
}

async function diskFull(ordeal: Ordeal): Promise<void> {
  const { arena } = ordeal;
  const { places } = arena;
  const inside = (command: string) =>
    places.lab.site.run(['nsenter', '--mount', '-t', `${places.site.pid}`, 'sh', '-c', command]);
  const resize = (kibibytes: string) =>
    inside(`mount -o remount,size=${kibibytes}k ${SHARED_MEMORY}`);
  await hinder(
    ordeal,
    async () => {
      await resize(`$(($(df --output=used ${SHARED_MEMORY} | tail -1) + 64))`);
      places.witness.ask('disk 300');
    },
    async () => {
      places.witness.ask('disk 0');
      await resize(`${TMPFS_MIB * 1024}`);
    },
  );
}

async function memoryGone(ordeal: Ordeal): Promise<void> {
  const { places } = ordeal.arena;
  const file = fakeMeminfo(places.lab);
  const truth = readFileSync(file, 'latin1');
  await hinder(
    ordeal,
    async () => {
      writeFileSync(file, truth.replace(/^(MemAvailable:\s+)\d+/m, '$120000'));
      for (const pid of places.site.guestPids()) process.kill(pid, 'SIGKILL');
    },
    async () => writeFileSync(file, truth),
  );
}

async function qemuCrash(ordeal: Ordeal): Promise<void> {
  const { places } = ordeal.arena;
  await hinder(
    ordeal,
    async () => {
      for (const pid of places.site.guestPids()) process.kill(pid, 'SIGSEGV');
    },
    undefined,
  );
}

/** `end` undefined: the hindrance is over as soon as it has come. */
async function hinder(
  { arena, figures, problems }: Ordeal,
  begin: () => Promise<void>,
  end: (() => Promise<void>) | undefined,
): Promise<void> {
  const { places } = arena;
  await places.arm('device');
  const told: string[] = [];
  let tries = 0;
  places.device.on('line', (line) => {
    if (line.msg === 'guest does not stand by') told.push(`${line.code}`);
    if (line.msg === 'handoff, source' && line.from === 'preflight') tries += 1;
  });
  arena.note(`fault ${monotonicMs()} hindrance`);
  arena.note(`limit ${STANDSTILL_MS}`);
  await begin();
  const lost = await standbyIs(arena, ({ state }) => state !== 'armed', RESUME_MS);
  figures.lost = describe(lost);
  if (end !== undefined) {
    await sleep(HOPELESS_MS);
    const still = await places.standby('device');
    figures.hopeless = describe(still);
    if (still?.state === 'armed') problems.push('it stands by although that cannot be');
    const notices = (await places.device.guest(GUEST))?.notices ?? [];
    figures.notices = notices
      .filter(({ code }) => code.startsWith('standby-'))
      .map(({ code, severity }) => `${severity} ${code}`)
      .join(', ');
    await end();
  }
  const since = performance.now();
  await standbyIs(arena, ({ state }) => state === 'armed', BACK_OFF_MS);
  figures.armedAgainMs = Math.round(performance.now() - since);
  figures.tries = tries;
  figures.told = told.join(', ');
  for (const code of new Set(told)) {
    const times = told.filter((each) => each === code).length;
    if (times > 1) problems.push(`told ${times} times: ${code}`);
  }
  if (told.length === 0) problems.push('nobody was told');
  if (told.includes('internal')) problems.push('told as if it were a defect');
}

/** Resolves with the standby of the guest at the device as soon as it is as wanted. */
async function standbyIs(
  { places }: Arena,
  wanted: (standby: StandbyView) => boolean,
  limitMs: number,
): Promise<StandbyView> {
  const until = performance.now() + limitMs;
  for (;;) {
    const standby = await places.standby('device');
    if (standby !== null && wanted(standby)) return standby;
    if (performance.now() > until)
      throw new Error(`after ${limitMs} ms the standby is ${describe(standby)}`);
    await sleep(LOOK_EVERY_MS);
  }
}

function isFresh({ state, reasonCode, freshMs }: StandbyView): boolean {
  const connected = reasonCode !== 'peer-unreachable';
  return state === 'armed' && connected && freshMs !== null && freshMs < FRESH_MS;
}

function describe(standby: StandbyView | null): string {
  if (standby === null) return 'none';
  const { state, reason, reasonCode, freshMs } = standby;
  const why = reason === undefined ? '' : `: ${reasonCode}, ${reason}`;
  const age = freshMs === null ? '' : `, ${Math.round(freshMs / 1000)} s old`;
  return `${state}${why}${age}`;
}

async function onLink({ places }: Arena): Promise<number> {
  const ways = await places.lab.link.statistics();
  return ways['a-to-b'].bytesOut + ways['b-to-a'].bytesOut;
}

function fakeMeminfo(lab: Lab): string {
  return join(lab.directory, 'meminfo');
}

/** The site has a tmpfs of its own for all that is kept in memory, and believes what a file says of the host's memory. */
function ownLimits(lab: Lab): readonly string[] {
  const script = [
    `mount -t tmpfs -o size=${TMPFS_MIB}m tmpfs ${SHARED_MEMORY}`,
    `mkdir -m 700 ${lab.memory}`,
    `cp /proc/meminfo ${fakeMeminfo(lab)}`,
    `mount --bind ${fakeMeminfo(lab)} /proc/meminfo`,
    'exec "$@"',
  ].join(' && ');
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
}
