import { describe, expect, it } from 'vitest';
import { type JournalRecord, ownershipOf } from '../../src/agent/ownership.ts';

const guestId = '6a0f6f5e-8d2c-4f66-9a57-0d7f3f4c2b10';
const [out, back] = [
  '0b7c2f0e-3f0c-4d1b-9a54-1f2e3d4c5b6a',
  '1c8d3a1f-4a1d-4e2c-8b65-2a3f4e5d6c7b',
] as const;
const peer = 'c'.repeat(64);
const at = 1;
type HandoffType = Exclude<JournalRecord['type'], `guest-${string}`>;
const record = (type: HandoffType, handoffId: string, epoch: number): JournalRecord => ({
  ...{ type, guestId, handoffId, epoch, peer, at },
});
const created: JournalRecord = { type: 'guest-created', guestId, epoch: 1, at };
const left = [
  created,
  record('handoff-started', out, 1),
  record('handoff-sealed', out, 2),
  record('handoff-released', out, 2),
];
const sealed = left.slice(0, 3);
const claimed = [...left, record('incoming-started', back, 3), record('incoming-claimed', back, 3)];

describe('who owns a guest', () => {
  it.each<[name: string, records: readonly JournalRecord[], owned: object]>([
    ['nobody knows it', [], { kind: 'unknown' }],
    ['it was made here', [created], { kind: 'here', epoch: 1 }],
    ['it is on its way', left.slice(0, 2), { kind: 'here', epoch: 1 }],
    ['the seal is not answered', sealed, { kind: 'in-doubt', epoch: 2, handoffId: out }],
    [
      'the seal was not sent',
      [...sealed, record('handoff-aborted', out, 1)],
      { kind: 'here', epoch: 1 },
    ],
    [
      'it was refused there',
      [...sealed, record('handoff-reclaimed', out, 3)],
      { kind: 'here', epoch: 3 },
    ],
    ['it has left', left, { kind: 'elsewhere', epoch: 2, place: peer }],
    ['it is arriving', claimed.slice(0, 5), { kind: 'elsewhere', epoch: 2 }],
    ['it has arrived', claimed, { kind: 'here', epoch: 3 }],
    [
      'it was claimed and never ran',
      [...claimed, record('incoming-refused', back, 3)],
      { kind: 'elsewhere', epoch: 2 },
    ],
    [
      'another handoff was refused',
      [...claimed, record('incoming-refused', out, 2)],
      { kind: 'here', epoch: 3 },
    ],
    ['it was deleted', [created, { type: 'guest-deleted', guestId, at }], { kind: 'unknown' }],
  ])('%s', (_name, records, owned) => {
    expect(ownershipOf(records)).toMatchObject(owned);
  });
});
