import { describe, expect, test } from 'vitest';
import {
  type DestinationEvent,
  type DestinationState,
  type DestinationStep,
  initialDestination,
  stepDestination,
} from '../../src/handoff/destination-machine.ts';
import type { DestinationRecordType, SourceRecordType } from '../../src/handoff/records.ts';
import { type FoundQemu, recoverDestination, recoverSource } from '../../src/handoff/recovery.ts';
import {
  initialSource,
  type SourceEvent,
  type SourceState,
  type SourceStep,
  stepSource,
} from '../../src/handoff/source-machine.ts';

const reason = { code: 'r', message: 'because' };

function effectNames(effects: readonly { type: string }[]): string[] {
  return effects.map((effect) =>
    'record' in effect ? `${effect.type} ${effect.record}` : effect.type,
  );
}

describe('the source', () => {
  test('goes through all its steps', () => {
    const table: [SourceEvent, SourceState['kind'], string[]][] = [
      [{ type: 'suitable' }, 'preparing', ['append handoff-started']],
      [{ type: 'durable', record: 'handoff-started' }, 'preparing', ['prepare']],
      [{ type: 'prepared' }, 'disks', ['start-disks']],
      [{ type: 'disks-ready' }, 'memory', ['start-memory']],
      [{ type: 'converged' }, 'switching', ['switch-over']],
      [{ type: 'loaded' }, 'switching', []],
      [{ type: 'migrated' }, 'sealing', ['append handoff-sealed']],
      [{ type: 'durable', record: 'handoff-sealed' }, 'sealed', ['seal']],
      [{ type: 'unanswered' }, 'sealed', ['ask-again']],
      [{ type: 'claimed' }, 'releasing', ['append handoff-released']],
      [{ type: 'durable', record: 'handoff-released' }, 'handed-over', ['destroy-copy']],
    ];
    let state = initialSource.state;
    for (const [event, kind, effects] of table) {
      const next = stepSource(state, event);
      expect([event.type, next.state.kind]).toEqual([event.type, kind]);
      expect(effectNames(next.effects)).toEqual(effects);
      state = next.state;
    }
  });

  test('stands by until it is triggered', () => {
    const table: [SourceEvent, SourceState['kind'], string[]][] = [
      [{ type: 'filled' }, 'armed', ['keep-up']],
      [{ type: 'converged' }, 'armed', []],
      [{ type: 'triggered' }, 'triggered', ['converge']],
      [{ type: 'triggered' }, 'triggered', []],
      [{ type: 'converged' }, 'switching', ['switch-over']],
    ];
    let state: SourceState = { kind: 'memory' };
    for (const [event, kind, effects] of table) {
      const next = stepSource(state, event);
      expect([event.type, next.state.kind]).toEqual([event.type, kind]);
      expect(effectNames(next.effects)).toEqual(effects);
      state = next.state;
    }
  });

  const early: SourceState[] = [
    { kind: 'preflight' },
    { kind: 'preparing' },
    { kind: 'disks' },
    { kind: 'memory' },
    { kind: 'armed' },
    { kind: 'triggered' },
    { kind: 'switching', migrated: true, loaded: false },
  ];
  test.each(early)('may be abandoned in $kind: the guest is resumed first', (state) => {
    const { state: next, effects } = stepSource(state, { type: 'abandon', reason });
    expect(next).toEqual({ kind: 'aborting', reason, step: 'resume' });
    expect(effectNames(effects)).toEqual(['resume', 'notify-abort']);
  });

  test('abandoned while the seal is written: it is withdrawn before the guest goes on', () => {
    const sealing = stepSource(
      { kind: 'sealing', abandoned: undefined },
      { type: 'abandon', reason },
    );
    expect(sealing.effects).toEqual([]);
    const durable = stepSource(sealing.state, { type: 'durable', record: 'handoff-sealed' });
    expect(effectNames(durable.effects)).toEqual(['append handoff-aborted']);
    const withdrawn = stepSource(durable.state, { type: 'durable', record: 'handoff-aborted' });
    expect(effectNames(withdrawn.effects)).toEqual(['resume', 'notify-abort']);
  });

  const late: SourceState[] = [
    { kind: 'sealed', inDoubt: false },
    { kind: 'sealed', inDoubt: true },
    { kind: 'releasing' },
    { kind: 'handed-over' },
    { kind: 'reclaiming', reason, refused: true, durable: false, guest: undefined },
  ];
  test.each(late)('abandoning changes nothing in $kind', (state) => {
    expect(stepSource(state, { type: 'abandon', reason })).toEqual({ state, effects: [] });
    expect(stepSource(state, { type: 'failed', reason })).toEqual({ state, effects: [] });
  });

  test('a refusal is on record before the guest is resumed', () => {
    const refused = stepSource({ kind: 'sealed', inDoubt: false }, { type: 'refused', reason });
    expect(effectNames(refused.effects)).toEqual(['append handoff-reclaimed']);
    const next = stepSource(refused.state, { type: 'durable', record: 'handoff-reclaimed' });
    expect(effectNames(next.effects)).toEqual(['take-back', 'resume']);
    expect(stepSource(next.state, { type: 'resumed' }).state).toMatchObject({
      kind: 'stayed',
      reclaimed: true,
    });
  });

  describe('whose reclaim cannot be written', () => {
    const record = 'handoff-reclaimed';
    const unwritten = { type: 'not-durable', record, reason } as const;

    test('lets the refused guest go on, and does not end before it is written', () => {
      const refused = stepSource({ kind: 'sealed', inDoubt: true }, { type: 'refused', reason });
      const first = stepSource(refused.state, unwritten);
      expect(effectNames(first.effects)).toEqual([
        'take-back',
        'resume',
        'append-again handoff-reclaimed',
      ]);
      const resumed = stepSource(first.state, { type: 'resumed' });
      expect(resumed.state.kind).toBe('reclaiming');
      const second = stepSource(resumed.state, unwritten);
      expect(effectNames(second.effects)).toEqual(['append-again handoff-reclaimed']);
      const gone = stepSource(second.state, { type: 'guest-gone' });
      const durable = { type: 'durable', record } as const;
      expect(stepSource(second.state, durable)).toEqual({
        state: { kind: 'stayed', reason, guest: 'running', reclaimed: true },
        effects: [],
      });
      expect(stepSource(gone.state, durable).state).toMatchObject({ guest: 'gone' });
      expect(stepSource(first.state, durable).state.kind).toBe('reclaiming');
    });

    test('keeps a guest paused that only a person keeps here', () => {
      const decided = stepSource(
        { kind: 'sealed', inDoubt: true },
        { type: 'decided', decision: 'keep-here' },
      );
      const next = stepSource(decided.state, unwritten);
      expect(effectNames(next.effects)).toEqual(['append-again handoff-reclaimed']);
      const durable = stepSource(next.state, { type: 'durable', record });
      expect(effectNames(durable.effects)).toEqual(['take-back', 'resume']);
    });
  });
});

describe('the destination', () => {
  test('goes through all its steps', () => {
    const table: [DestinationEvent, DestinationState['kind'], string[]][] = [
      [{ type: 'durable', record: 'incoming-started' }, 'preparing', ['prepare']],
      [{ type: 'prepared' }, 'receiving', ['answer-prepared']],
      [{ type: 'loaded' }, 'loaded', ['answer-loaded']],
      [{ type: 'seal' }, 'claiming', ['append incoming-claimed']],
      [{ type: 'abandon', reason }, 'claiming', []],
      [{ type: 'durable', record: 'incoming-claimed' }, 'activating', ['activate']],
      [{ type: 'activated' }, 'running', ['answer-claimed']],
      [{ type: 'seal' }, 'running', ['answer-claimed']],
    ];
    let state = initialDestination.state;
    for (const [event, kind, effects] of table) {
      const next = stepDestination(state, event);
      expect([event.type, next.state.kind]).toEqual([event.type, kind]);
      expect(effectNames(next.effects)).toEqual(effects);
      state = next.state;
    }
  });

  test('a seal that comes too early, or late after a refusal, is refused', () => {
    const { state, effects } = stepDestination({ kind: 'receiving' }, { type: 'seal' });
    expect(state.kind).toBe('refusing');
    expect(effectNames(effects)).toEqual(['append incoming-refused']);
    const answer = stepDestination({ kind: 'refused', reason }, { type: 'seal' });
    expect(effectNames(answer.effects)).toEqual(['answer-refused']);
  });

  test('a claimed guest is given back only if it provably never ran', () => {
    const never = stepDestination(
      { kind: 'activating' },
      { type: 'not-activated', ran: false, reason },
    );
    // Not ended before: with a claim alone on record, a restart would say that the guest is ours.
    expect(effectNames(never.effects)).toEqual(['append incoming-refused']);
    const refused = stepDestination(never.state, { type: 'durable', record: 'incoming-refused' });
    expect(effectNames(refused.effects)).toEqual(['discard']);
    const maybe = stepDestination(
      { kind: 'activating' },
      { type: 'not-activated', ran: true, reason },
    );
    expect(maybe.state.kind).toBe('lost');
    expect(effectNames(maybe.effects)).toEqual(['answer-claimed', 'tell-lost']);
  });

  describe('whose claim could not be written, and whose refusal cannot either', () => {
    const unwritten = (record: 'incoming-claimed' | 'incoming-refused') =>
      ({ type: 'not-durable', record, reason }) as const;
    const claiming = stepDestination({ kind: 'claiming' }, unwritten('incoming-claimed'));
    const stuck = stepDestination(claiming.state, unwritten('incoming-refused'));

    test('keeps the guest, and says to whoever asks that it is not settled', () => {
      expect(effectNames(claiming.effects)).toEqual(['append incoming-refused']);
      expect(effectNames(stuck.effects)).toEqual(['answer-unsettled']);
    });

    test.each([{ type: 'seal' }, { type: 'abandon', reason }, { type: 'failed', reason }] as const)(
      'tries again at $type',
      (event) => {
        const again = stepDestination(stuck.state, event);
        expect(effectNames(again.effects)).toEqual(['append incoming-refused']);
        const refused = stepDestination(again.state, {
          type: 'durable',
          record: 'incoming-refused',
        });
        expect(effectNames(refused.effects)).toEqual(['discard']);
      },
    );
  });

  test('a refusal before the claim that cannot be written keeps no QEMU', () => {
    const refusing = stepDestination({ kind: 'receiving' }, { type: 'abandon', reason });
    const record = 'incoming-refused';
    const stuck = stepDestination(refusing.state, { type: 'not-durable', record, reason });
    expect(effectNames(stuck.effects)).toEqual(['answer-unsettled', 'discard']);
  });
});

describe('recovery of the last handoff', () => {
  const gone = { kind: 'gone' } as const;
  const left = ['paused', 'postmigrate', 'finish-migrate', 'inmigrate', 'prelaunch'];
  const own = ['running', 'io-error', 'internal-error', 'guest-panicked', 'suspended', 'shutdown'];
  const found = (status: string, migration?: string, exports = 0): FoundQemu =>
    status === 'gone' ? gone : { kind: 'present', status, migration, exports };
  /** `kind: effects`, or `nothing`. */
  function outcome(step: SourceStep | DestinationStep | undefined): string {
    if (step === undefined) return 'nothing';
    return `${step.state.kind}: ${effectNames(step.effects).join(', ')}`;
  }

  const started: SourceRecordType[] = ['handoff-started'];
  const sealed: SourceRecordType[] = [...started, 'handoff-sealed'];
  const abort = 'aborting: resume, notify-abort';
  // What is done where QEMU is gone, was left by the handoff, and is in a state of its own.
  test.each<[string, SourceRecordType[], string, string, string]>([
    ['no record', [], 'nothing', 'nothing', 'nothing'],
    ['started', started, abort, abort, abort],
    ['aborted', [...started, 'handoff-aborted'], 'nothing', abort, 'nothing'],
    [
      'sealed',
      sealed,
      'sealed: ask-again',
      'sealed: ask-again',
      'reclaiming: append handoff-reclaimed, notify-abort',
    ],
    ['withdrawn', [...sealed, 'handoff-aborted'], 'nothing', abort, 'nothing'],
    [
      'reclaimed',
      [...sealed, 'handoff-reclaimed'],
      'nothing',
      'reclaiming: take-back, resume',
      'nothing',
    ],
    [
      'released',
      [...sealed, 'handoff-released'],
      'nothing',
      'handed-over: destroy-copy',
      'handed-over: destroy-copy',
    ],
  ])('of the source: %s', (_name, records, whenGone, whenLeft, whenOwn) => {
    expect(outcome(recoverSource(records, gone))).toBe(whenGone);
    for (const status of left) {
      expect([status, outcome(recoverSource(records, found(status)))]).toEqual([status, whenLeft]);
    }
    for (const status of own) {
      expect([status, outcome(recoverSource(records, found(status)))]).toEqual([status, whenOwn]);
    }
  });

  const incoming: DestinationRecordType[] = ['incoming-started'];
  const claimed: DestinationRecordType[] = [...incoming, 'incoming-claimed'];
  const refuse = 'refusing: append incoming-refused';
  const discard = 'discarding: discard';
  // QEMU gone; left by the handoff; stopped for a reason of its own; running.
  test.each<[string, DestinationRecordType[], string, string, string, string]>([
    ['no record', [], 'nothing', 'nothing', 'nothing', 'nothing'],
    ['arriving', incoming, refuse, 'loaded: ', 'loaded: ', refuse],
    ['claimed', claimed, 'lost: ', 'activating: activate', 'running: ', 'running: '],
    ['refused', [...incoming, 'incoming-refused'], discard, discard, discard, 'nothing'],
    ['given back', [...claimed, 'incoming-refused'], discard, discard, discard, 'nothing'],
    ['never begun', ['incoming-refused'], 'nothing', 'nothing', 'nothing', 'nothing'],
  ])('of the destination: %s', (_name, records, whenGone, whenLeft, whenOwn, whenRunning) => {
    const complete = (status: string) =>
      outcome(recoverDestination(records, found(status, 'completed')));
    expect(complete('gone')).toBe(whenGone);
    for (const status of left) expect([status, complete(status)]).toEqual([status, whenLeft]);
    expect(complete('running')).toBe(whenRunning);
    for (const status of own.slice(1)) {
      expect([status, complete(status)]).toEqual([status, whenOwn]);
    }
  });

  test.each([
    ['its memory is not complete', found('inmigrate', 'active', 1)],
    ['its disks are not complete', found('paused', 'completed', 1)],
    ['nothing came', found('inmigrate')],
  ])('an arriving guest is refused: %s', (_name, qemu) => {
    expect(outcome(recoverDestination(incoming, qemu))).toBe(refuse);
  });
});
