import { pino } from 'pino';
import { expect, it } from 'vitest';
import { type JournalRecord, ownershipOf } from '../../src/agent/ownership/ownership.ts';
import { type RecoveryOptions, recover } from '../../src/agent/recovery.ts';
import { created, guestId, one, record, there, two } from './ownership/journal-records.ts';

const self = 'a'.repeat(64);

const spec = {
  id: guestId,
  name: 'desk',
  home: there,
  abi: { mac: '52:54:00:00:00:01' },
  network: {},
};

/** What an earlier agent left: its journal, and the guest's QEMU by its `query-status`. */
interface Left {
  readonly records: JournalRecord[];
  readonly status: string | undefined;
  /** That QEMU has ended since. */
  readonly ended?: boolean;
}

/** Runs a recovery on doubles of all its parts; returns what it asked of them. */
async function recovered({ records, status, ended }: Left): Promise<string[]> {
  const asked: string[] = [];
  const ask =
    (name: string) =>
    async (...args: unknown[]) => {
      asked.push([name, ...args.filter((arg) => typeof arg !== 'object')].join(' '));
    };
  const live = !ended &&
    status && {
      spec,
      phase: { kind: 'running' },
      process: {
        qmp: { query: async () => ({ status }), execute: ask('qmp') },
      },
    };
  const stored = { spec, process: status === undefined ? null : {}, disks: status ? [{}] : [] };
  const parts = {
    self,
    store: { list: () => [stored], find: () => stored },
    journal: { of: () => records, ownership: () => ownershipOf(records) },
    guests: {
      adopt: async (_stored: unknown, phase: { kind: string }) => {
        asked.push(`adopt as ${phase.kind}`);
        return live || undefined;
      },
      live: () => live || undefined,
      discard: ask('discard'),
    },
    departures: { recover: ask('departure') },
    arrivals: { recover: ask('arrival'), find: () => undefined },
    registry: { list: () => [], locate: ask('locate') },
    datapath: {
      setGuest: async ({ location, epoch }: { location: { kind: string }; epoch: number }) => {
        asked.push(`map ${location.kind} ${epoch}`);
      },
      removeGuest: ask('unmap'),
    },
    netSocket: () => '/run/net.sock',
    forget: ask('forget'),
    log: pino({ level: 'silent' }),
  };
  await recover(parts as unknown as RecoveryOptions);
  // What follows the handoff goes on in the background.
  await new Promise((resolve) => setImmediate(resolve));
  return asked.map((line) => line.replaceAll(there, 'there').replaceAll(self, 'self'));
}

const gone = [created, record('handoff-started', 1), record('handoff-sealed', 2)];

it.each<[string, Left, string[]]>([
  [
    'a guest that runs here keeps its network before its QEMU answers',
    { records: [created], status: 'running' },
    ['map local 1', 'adopt as running', `locate there ${guestId} self 1`],
  ],
  [
    'one that the waking of its network left stopped goes on',
    { records: [created], status: 'paused' },
    ['map local 1', 'adopt as running', `locate there ${guestId} self 1`, 'qmp cont'],
  ],
  [
    'one that waits for room on its disk does not',
    { records: [created], status: 'io-error' },
    ['map local 1', 'adopt as running', `locate there ${guestId} self 1`],
  ],
  [
    'a stopped guest is left alone',
    { records: [created], status: undefined },
    ['adopt as running', `locate there ${guestId} self 1`],
  ],
  [
    'a handoff in doubt is asked about',
    { records: gone, status: 'postmigrate' },
    ['map peer 2', 'adopt as running', `departure ${one} there 1`],
  ],
  [
    'a refused handoff whose guest was not continued',
    { records: [...gone, record('handoff-reclaimed', 3)], status: 'postmigrate' },
    [
      'map local 3',
      'adopt as running',
      `locate there ${guestId} self 3`,
      `departure ${one} there 1`,
      'qmp cont',
    ],
  ],
  [
    'a handed-over guest whose copy was not ended',
    { records: [...gone, record('handoff-released', 2)], status: 'postmigrate' },
    ['adopt as running', `locate there ${guestId} there 2`, `departure ${one} there 1`, 'discard'],
  ],
  [
    'a handed-over guest whose copy was being ended: its home hears first, or the mapping would be out of date',
    { records: [...gone, record('handoff-released', 2)], status: 'postmigrate', ended: true },
    [
      'adopt as running',
      `locate there ${guestId} there 2`,
      `unmap ${guestId}`,
      `departure ${one} there 1`,
      'discard',
    ],
  ],
  [
    'a guest that is elsewhere costs nothing but a word to its home',
    { records: [...gone, record('handoff-released', 2)], status: undefined },
    ['adopt as running', `locate there ${guestId} there 2`],
  ],
  [
    'an arrival that was interrupted',
    { records: [record('incoming-started', 2)], status: 'inmigrate' },
    ['map none 1', 'adopt as incoming', `arrival ${one} there 2`, 'forget'],
  ],
  [
    'an arrival that was interrupted before anything of it was on record',
    {
      records: [...gone, record('handoff-released', 2), record('incoming-started', 3, two)],
      status: undefined,
    },
    ['adopt as incoming', `locate there ${guestId} there 2`, `arrival ${two} there 3`, 'discard'],
  ],
  [
    'a claimed guest that was not continued',
    { records: [record('incoming-started', 2), record('incoming-claimed', 2)], status: 'paused' },
    [
      'map local 2',
      'adopt as running',
      `locate there ${guestId} self 2`,
      `arrival ${one} there 2`,
      'qmp cont',
    ],
  ],
  [
    'the last handoff counts, not an older one',
    {
      records: [
        ...gone,
        record('handoff-released', 2),
        record('incoming-started', 3, two),
        record('incoming-claimed', 3, two),
      ],
      status: 'running',
    },
    ['map local 3', 'adopt as running', `locate there ${guestId} self 3`, `arrival ${two} there 3`],
  ],
  [
    'what a refused arrival left is removed',
    {
      records: [record('incoming-started', 2), record('incoming-refused', 2)],
      status: 'prelaunch',
    },
    ['map none 1', 'adopt as incoming', `arrival ${one} there 2`, 'forget'],
  ],
])('%s', async (_name, left, expected) => {
  expect(await recovered(left)).toEqual(expected);
});
