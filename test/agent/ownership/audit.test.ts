import { describe, expect, test } from 'vitest';
import { auditGuest } from '../../../src/agent/ownership/audit.ts';
import type { JournalRecord } from '../../../src/agent/ownership/ownership.ts';
import { created, guestId, one, record, there, two } from './journal-records.ts';

const self = 'a'.repeat(64);
/** Records a second apart. */
const timed = (records: readonly JournalRecord[]) =>
  records.map((entry, index) => ({ ...entry, at: index * 1_000 }));
const audit = (...records: JournalRecord[]) => auditGuest(timed(records), self);
const owners = (...records: JournalRecord[]) =>
  audit(...records).tenures.map(({ epoch, owner, from, until }) => [epoch, owner, from, until]);

describe('who owned a guest, when', () => {
  test('created, given away, and come back', () => {
    const records = [
      created,
      record('handoff-started', 1),
      record('handoff-sealed', 2),
      record('handoff-released', 2),
      record('incoming-started', 3, two),
      record('incoming-claimed', 3, two),
    ];
    expect(owners(...records)).toEqual([
      [1, self, 0, 2_000],
      [2, there, 2_000, 5_000],
      [3, self, 5_000, undefined],
    ]);
    expect(audit(...records).problems).toEqual([]);
  });

  test('standbys that came to nothing leave no trace', () => {
    const attempt = [record('handoff-started', 1), record('handoff-aborted', 1)];
    expect(owners(created, ...attempt, ...attempt)).toEqual([[1, self, 0, undefined]]);
  });

  test('a seal that was withdrawn did not count', () => {
    const records = [created, record('handoff-sealed', 2), record('handoff-aborted', 1)];
    expect(owners(...records)).toEqual([[1, self, 0, undefined]]);
    expect(audit(...records, record('handoff-sealed', 2, two)).problems).toEqual([]);
  });

  test('a seal that was refused is followed by a newer epoch here', () => {
    expect(owners(created, record('handoff-sealed', 2), record('handoff-reclaimed', 3))).toEqual([
      [1, self, 0, 1_000],
      [2, there, 1_000, 2_000],
      [3, self, 2_000, undefined],
    ]);
  });

  test('a claim that was given back was none', () => {
    expect(owners(record('incoming-claimed', 2), record('incoming-refused', 2))).toEqual([]);
  });

  test('nobody owns a deleted guest', () => {
    expect(owners(created, { type: 'guest-deleted', guestId, at: 0 })).toEqual([
      [1, self, 0, 1_000],
      [1, undefined, 1_000, undefined],
    ]);
  });
});

describe('what cannot have happened is told', () => {
  test.each<[string, JournalRecord[]]>([
    ['an epoch twice', [created, record('handoff-sealed', 2), record('incoming-claimed', 2, two)]],
    [
      'a claim under an older epoch',
      [record('incoming-claimed', 5), record('incoming-claimed', 3, two)],
    ],
    [
      'a guest given away twice',
      [created, record('handoff-sealed', 2), record('handoff-sealed', 3, two)],
    ],
    ['a release without its seal', [created, record('handoff-released', 2, one)]],
  ])('%s', (_name, records) => {
    expect(audit(...records).problems).not.toEqual([]);
  });
});
