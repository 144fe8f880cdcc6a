/**
 * What to do after a restart, from the journal and from what the guest's QEMU says. Pure: the effects are the
 * machines' own, so that a recovered handoff ends as an uninterrupted one would.
 */
import type { DestinationStep } from './destination-machine.ts';
import type { DestinationRecordType, SourceRecordType } from './records.ts';
import type { SourceStep } from './source-machine.ts';

/** The guest's QEMU as found: gone, or its `query-status` and `query-migrate` status. */
export type FoundQemu =
  | { readonly kind: 'gone' }
  | {
      readonly kind: 'present';
      /** `running` of query-status. */
      readonly running: boolean;
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
  if (has('handoff-released')) {
    return { state: { kind: 'handed-over' }, effects: [{ type: 'destroy-copy' }] };
  }
  if (has('handoff-reclaimed')) {
    return {
      state: { kind: 'reclaiming', reason: interrupted, durable: true },
      effects: [{ type: 'take-back' }, { type: 'resume' }],
    };
  }
  // A running guest under a seal: the seal was never sent. From `postmigrate`, where alone it is sent, only our own
  // `cont` leads out, and that is said only after the seal was withdrawn.
  const running = qemu.kind === 'present' && qemu.running;
  if (has('handoff-sealed') && !has('handoff-aborted') && !running) {
    return { state: { kind: 'sealed', inDoubt: true }, effects: [{ type: 'ask-again' }] };
  }
  const settled = has('handoff-aborted') && (running || qemu.kind === 'gone');
  if (!has('handoff-started') || settled) return undefined;
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
  if (has('incoming-refused')) {
    return { state: { kind: 'discarding', reason: interrupted }, effects: [{ type: 'discard' }] };
  }
  if (has('incoming-claimed')) {
    if (qemu.kind === 'gone') return { state: { kind: 'lost', reason: interrupted }, effects: [] };
    return { state: { kind: 'activating' }, effects: [{ type: 'activate' }] };
  }
  if (!has('incoming-started')) return undefined;
  // The exports are closed when, and only when, every write has been applied: memory and disks are complete, and
  // the source may have sealed.
  if (qemu.kind === 'present' && qemu.migration === 'completed' && qemu.exports === 0) {
    return { state: { kind: 'loaded' }, effects: [] };
  }
  return {
    state: { kind: 'refusing', reason: interrupted, discarded: false },
    effects: [{ type: 'append', record: 'incoming-refused' }],
  };
}
