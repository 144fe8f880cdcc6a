/** Records of one guest for the tests of what a journal means. */
import type { JournalRecord } from '../../../src/agent/ownership/ownership.ts';

export const guestId = '11111111-1111-4111-8111-111111111111';
export const one = '22222222-2222-4222-8222-222222222222';
export const two = '33333333-3333-4333-8333-333333333333';
export const there = 'b'.repeat(64);

export const created: JournalRecord = { type: 'guest-created', guestId, epoch: 1, at: 0 };
type HandoffType = Extract<JournalRecord, { handoffId: string; epoch: number }>['type'];
export const record = (type: HandoffType, epoch: number, handoffId = one): JournalRecord => ({
  type,
  guestId,
  epoch,
  handoffId,
  peer: there,
  at: 0,
});
