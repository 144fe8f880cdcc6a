/**
 * What to do after a restart, from the journal and from what the guest's QEMU says. Pure: the effects are the
 * machines' own, so that a recovered handoff ends as an uninterrupted one would. Right for the last handoff of a guest,
 * however long it has ended: of an ended one only what a crash has left undone is done.
 */
import type { DestinationStep } from './destination-machine.ts';
import { leftByHandoff } from './qemu-names.ts';
import type { DestinationRecordType, SourceRecordType } from './records.ts';
import type { SourceStep } from './source-machine.ts';

/** The guest's QEMU as found. */
export type FoundQemu =
  | { readonly kind: 'gone' }
  | {
      readonly kind: 'present';
      /** Of query-status. */
      readonly status: string;
      /** Status of query-migrate; undefined when there was no migration. */
      readonly migration: string | undefined;
      /** Disk exports still open; at the destination none are left once all writes are applied. */
      readonly exports: number;
    };

const interrupted = {
  code: 'agent-restarted',
  message: 'The agent was restarted during the handoff',
};

/** `records`: of this handoff, oldest first. `undefined`: nothing is left to do, the machine has ended. */
export function recoverSource(
  records: readonly SourceRecordType[],
  qemu: FoundQemu,
): SourceStep | undefined {
  const has = (type: SourceRecordType) => records.includes(type);
  const present = qemu.kind === 'present';
  const left = present && leftByHandoff.has(qemu.status);
  if (has('handoff-released')) {
    if (!present) return undefined;
    return { state: { kind: 'handed-over' }, effects: [{ type: 'destroy-copy' }] };
  }
  if (has('handoff-reclaimed')) {
    if (!left) return undefined;
    const known = { refused: true, durable: true, guest: 'resuming' } as const;
    return {
      state: { kind: 'reclaiming', reason: interrupted, ...known },
      effects: [{ type: 'take-back' }, { type: 'resume' }],
    };
  }
  if (has('handoff-sealed') && !has('handoff-aborted')) {
    if (!present || left) {
      return { state: { kind: 'sealed', inDoubt: true }, effects: [{ type: 'ask-again' }] };
    }
    // It has run under its seal. From `postmigrate`, where alone the seal is sent, only our own `cont` leads out, and that
    // is said only when no seal will ever be accepted: it was not sent, or refused. The mapping may have moved by then, so
    // the epoch has to be one after the destination's.
    return {
      state: {
        kind: 'reclaiming',
        reason: interrupted,
        refused: false,
        durable: false,
        guest: undefined,
      },
      effects: [{ type: 'append', record: 'handoff-reclaimed' }, { type: 'notify-abort' }],
    };
  }
  if (!has('handoff-started') || (has('handoff-aborted') && !left)) return undefined;
  return {
    state: { kind: 'aborting', reason: interrupted, step: 'resume' },
    effects: [{ type: 'resume' }, { type: 'notify-abort' }],
  };
}

export function recoverDestination(
  records: readonly DestinationRecordType[],
  qemu: FoundQemu,
): DestinationStep | undefined {
  const has = (type: DestinationRecordType) => records.includes(type);
  const present = qemu.kind === 'present';
  if (has('incoming-refused')) {
    // Never begun here, or a QEMU that runs: what is found is not this handoff's.
    if (!has('incoming-started') || (present && qemu.status === 'running')) return undefined;
    return { state: { kind: 'discarding', reason: interrupted }, effects: [{ type: 'discard' }] };
  }
  if (has('incoming-claimed')) {
    if (!present) return { state: { kind: 'lost', reason: interrupted }, effects: [] };
    if (!leftByHandoff.has(qemu.status)) return { state: { kind: 'running' }, effects: [] };
    return { state: { kind: 'activating' }, effects: [{ type: 'activate' }] };
  }
  if (!has('incoming-started')) return undefined;
  // The exports are closed when, and only when, every write has been applied: memory and disks are complete, and
  // the source may have sealed.
  const complete = present && qemu.migration === 'completed' && qemu.exports === 0;
  if (complete && qemu.status !== 'running') return { state: { kind: 'loaded' }, effects: [] };
  return {
    state: { kind: 'refusing', reason: interrupted, claimed: false, discarded: false },
    effects: [{ type: 'append', record: 'incoming-refused' }],
  };
}
