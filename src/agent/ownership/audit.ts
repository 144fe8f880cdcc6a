/**
 * Who owned a guest, when and under which epoch, as one place's journal proves it. A journal says two things for sure: that the
 * guest was this place's own, and that this place gave it away. Pure.
 */
import type { JournalRecord } from './ownership.ts';

export interface Tenure {
  readonly epoch: number;
  /** Place id; undefined when nobody owns it any more. */
  readonly owner: string | undefined;
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly until: number | undefined;
  readonly record: JournalRecord['type'];
  readonly handoffId: string | undefined;
}

export interface Audit {
  readonly tenures: readonly Tenure[];
  /** What cannot have happened; empty unless records are missing or were changed. */
  readonly problems: readonly string[];
}

/** `records`: of one guest, oldest first; `self`: the place whose journal it is. */
export function auditGuest(records: readonly JournalRecord[], self: string): Audit {
  const tenures: Tenure[] = [];
  const problems: string[] = [];
  const sealed = new Map<string, Tenure>();
  const begin = (tenure: Omit<Tenure, 'until'>) => {
    const last = tenures.at(-1);
    if (last !== undefined && tenure.owner !== undefined && tenure.epoch <= last.epoch)
      problems.push(`epoch ${tenure.epoch} (${tenure.record}) follows epoch ${last.epoch}`);
    if (last !== undefined) tenures[tenures.length - 1] = { ...last, until: tenure.from };
    tenures.push({ ...tenure, until: undefined });
  };
  /** A seal, or a claim, that was taken back: what was before goes on. */
  const undo = (handoffId: string) => {
    const index = tenures.findLastIndex((tenure) => tenure.handoffId === handoffId);
    if (index < 0 || index !== tenures.length - 1) return;
    tenures.pop();
    const before = tenures.at(-1);
    if (before !== undefined) tenures[tenures.length - 1] = { ...before, until: undefined };
  };
  for (const record of records) {
    const from = record.at;
    switch (record.type) {
      case 'guest-created':
        begin({ epoch: 1, owner: self, from, record: record.type, handoffId: undefined });
        break;
      case 'guest-deleted': {
        const epoch = tenures.at(-1)?.epoch ?? 0;
        begin({ epoch, owner: undefined, from, record: record.type, handoffId: undefined });
        break;
      }
      case 'handoff-sealed': {
        const { epoch, peer, handoffId } = record;
        if (tenures.at(-1)?.owner !== self)
          problems.push(`the guest was given away under epoch ${epoch} without being here`);
        begin({ epoch, owner: peer, from, record: record.type, handoffId });
        const tenure = tenures.at(-1);
        if (tenure !== undefined) sealed.set(handoffId, tenure);
        break;
      }
      case 'handoff-aborted':
        if (sealed.has(record.handoffId)) undo(record.handoffId);
        break;
      case 'handoff-reclaimed':
      case 'incoming-claimed': {
        const { epoch, handoffId } = record;
        begin({ epoch, owner: self, from, record: record.type, handoffId });
        break;
      }
      case 'incoming-refused':
        if (tenures.at(-1)?.record === 'incoming-claimed') undo(record.handoffId);
        break;
      case 'handoff-released':
        if (!sealed.has(record.handoffId))
          problems.push(`a handoff under epoch ${record.epoch} was released without its seal`);
        break;
      // They change nobody's ownership.
      case 'guest-forced':
      case 'handoff-started':
      case 'incoming-started':
        break;
    }
  }
  return { tenures, problems };
}
