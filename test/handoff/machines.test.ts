import { describe, expect, test } from 'vitest';
import {
  type DestinationEvent,
  type DestinationState,
  initialDestination,
  stepDestination,
} from '../../src/handoff/destination-machine.ts';
import { recoverDestination, recoverSource } from '../../src/handoff/recovery.ts';
import {
  initialSource,
  type SourceEvent,
  type SourceState,
  stepSource,
} from '../../src/handoff/source-machine.ts';

const reason = { code: 'r', message: 'because' };

function effectNames(effects: readonly { type: string }[]): string[] {
  return effects.map((effect) => ('record' in effect ? `append ${effect.record}` : effect.type));
}

describe('the source', () => {
  test('goes through all its steps', () => {
    const table: [SourceEvent, SourceState['kind'], string[]][] = [
      [{ type: 'suitable' }, 'preparing', ['append handoff-started', 'prepare']],
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

  const early: SourceState[] = [
    { kind: 'preflight' },
    { kind: 'preparing' },
    { kind: 'disks' },
    { kind: 'memory' },
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
    { kind: 'reclaiming', reason, durable: false },
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
});

describe('the destination', () => {
  test('goes through all its steps', () => {
    const table: [DestinationEvent, DestinationState['kind'], string[]][] = [
      [{ type: 'durable', record: 'incoming-started' }, 'preparing', []],
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
    expect(effectNames(never.effects)).toEqual(['discard']);
    const maybe = stepDestination(
      { kind: 'activating' },
      { type: 'not-activated', ran: true, reason },
    );
    expect(maybe.state.kind).toBe('lost');
    expect(effectNames(maybe.effects)).toEqual(['answer-claimed']);
  });
});

describe('recovery', () => {
  const gone = { kind: 'gone' } as const;
  const found = (running: boolean, migration: string | undefined, exports = 0) =>
    ({ kind: 'present', running, migration, exports }) as const;

  test.each([
    ['nothing on record', [], found(true, undefined), undefined],
    ['started, guest running', ['handoff-started'], found(true, 'active'), 'aborting'],
    ['started, guest in the pause', ['handoff-started'], found(false, 'device'), 'aborting'],
    ['started, then aborted', ['handoff-started', 'handoff-aborted'], found(true, 'x'), undefined],
    ['sealed', ['handoff-started', 'handoff-sealed'], found(false, 'completed'), 'sealed'],
    ['sealed, QEMU gone', ['handoff-started', 'handoff-sealed'], gone, 'sealed'],
    [
      'sealed, but the guest runs',
      ['handoff-started', 'handoff-sealed'],
      found(true, 'completed'),
      'aborting',
    ],
    [
      'sealed and withdrawn',
      ['handoff-started', 'handoff-sealed', 'handoff-aborted'],
      found(false, 'completed'),
      'aborting',
    ],
    ['reclaimed', ['handoff-sealed', 'handoff-reclaimed'], found(false, 'completed'), 'reclaiming'],
    ['released', ['handoff-sealed', 'handoff-released'], found(false, 'completed'), 'handed-over'],
  ] as const)('of the source: %s', (_name, records, qemu, kind) => {
    expect(recoverSource(records, qemu)?.state.kind).toBe(kind);
  });

  test.each([
    ['arriving', ['incoming-started'], found(false, 'active', 1), 'refusing'],
    ['memory complete, disks not', ['incoming-started'], found(false, 'completed', 1), 'refusing'],
    ['complete', ['incoming-started'], found(false, 'completed', 0), 'loaded'],
    ['arriving, QEMU gone', ['incoming-started'], gone, 'refusing'],
    [
      'claimed, paused',
      ['incoming-started', 'incoming-claimed'],
      found(false, 'completed'),
      'activating',
    ],
    ['claimed, QEMU gone', ['incoming-started', 'incoming-claimed'], gone, 'lost'],
    ['refused', ['incoming-started', 'incoming-refused'], found(false, 'completed'), 'discarding'],
    ['nothing on record', [], gone, undefined],
  ] as const)('of the destination: %s', (_name, records, qemu, kind) => {
    expect(recoverDestination(records, qemu)?.state.kind).toBe(kind);
  });
});
