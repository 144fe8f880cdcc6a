import { describe, expect, it } from 'vitest';
import { type JournalRecord, ownershipOf } from '../../../src/agent/ownership/ownership.ts';
import { created, guestId, one, record, there, two } from './journal-records.ts';

describe('who owns a guest', () => {
  it.each<[string, JournalRecord[], object]>([
    ['nothing is known', [], { kind: 'unknown' }],
    ['created here', [created], { kind: 'here', epoch: 1 }],
    ['deleted', [created, { type: 'guest-deleted', guestId, at: 0 }], { kind: 'unknown' }],
    ['a handoff has begun', [created, record('handoff-started', 1)], { kind: 'here', epoch: 1 }],
    [
      'sealed and unanswered',
      [created, record('handoff-started', 1), record('handoff-sealed', 2)],
      { kind: 'in-doubt', epoch: 2, handoffId: one, peer: there },
    ],
    [
      'the seal was withdrawn',
      [created, record('handoff-sealed', 2), record('handoff-aborted', 1)],
      { kind: 'here', epoch: 1 },
    ],
    [
      'another handoff was aborted',
      [created, record('handoff-sealed', 2), record('handoff-aborted', 1, two)],
      { kind: 'in-doubt', epoch: 2 },
    ],
    [
      'released',
      [created, record('handoff-sealed', 2), record('handoff-released', 2)],
      { kind: 'elsewhere', epoch: 2, place: there },
    ],
    [
      'refused there and taken back',
      [created, record('handoff-sealed', 2), record('handoff-reclaimed', 3)],
      { kind: 'here', epoch: 3 },
    ],
    ['arriving', [record('incoming-started', 2)], { kind: 'unknown' }],
    [
      'arrived',
      [record('incoming-started', 2), record('incoming-claimed', 2)],
      { kind: 'here', epoch: 2 },
    ],
    [
      'claimed, and refused because it provably never ran',
      [record('incoming-claimed', 2), record('incoming-refused', 2)],
      { kind: 'unknown' },
    ],
    [
      'there and back',
      [
        created,
        record('handoff-sealed', 2),
        record('handoff-released', 2),
        record('incoming-started', 3, two),
        record('incoming-claimed', 3, two),
      ],
      { kind: 'here', epoch: 3 },
    ],
    [
      'the answer to the way there comes after the way back',
      [
        created,
        record('handoff-sealed', 2),
        record('incoming-claimed', 3, two),
        record('handoff-released', 2),
      ],
      { kind: 'here', epoch: 3 },
    ],
    [
      'a late refusal of the way there',
      [
        created,
        record('handoff-sealed', 2),
        record('handoff-released', 2),
        record('incoming-claimed', 5, two),
        record('handoff-reclaimed', 3),
      ],
      { kind: 'here', epoch: 5 },
    ],
  ])('%s', (_name, records, expected) => {
    expect(ownershipOf(records)).toMatchObject(expected);
  });
});
