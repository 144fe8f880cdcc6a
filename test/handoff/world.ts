/**
 * A small world in which the two machines, their journals and two QEMUs live, with a network that loses,
 * repeats and reorders, and with agents and QEMUs that die at any moment. Used by the model check.
 */
import {
  type DestinationEffect,
  type DestinationEvent,
  type DestinationState,
  initialDestination,
  stepDestination,
} from '../../src/handoff/destination-machine.ts';
import type { DestinationRecordType, SourceRecordType } from '../../src/handoff/records.ts';
import { recoverDestination, recoverSource } from '../../src/handoff/recovery.ts';
import {
  initialSource,
  isAttempt,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
  stepSource,
} from '../../src/handoff/source-machine.ts';

const reason = { code: 'model', message: 'the model says so' };
type Message = 'prepare' | 'prepared' | 'loaded' | 'seal' | 'claimed' | 'refused' | 'abort';
const towardDestination: readonly Message[] = ['prepare', 'seal', 'abort'];
/** `finishing`: stopped for the switchover, and QEMU resumes it by itself if its stream breaks. */
type SourceQemu = 'running' | 'finishing' | 'postmigrate' | 'gone';
type DestinationQemu = 'none' | 'incoming' | 'loaded' | 'running' | 'gone';

export interface Action {
  readonly name: string;
  readonly fault: boolean;
  run(): void;
}

export class World {
  clock = 0;
  network: Message[] = [];
  failedWithdrawals = 0;
  /** The handoff stands by before it takes place. */
  readonly standby: boolean;
  readonly #taken: string[] = [];
  killed = false;
  s = {
    up: true,
    state: initialSource.state as SourceState,
    effects: [...initialSource.effects] as SourceEffect[],
    stored: [] as SourceRecordType[],
    journal: [] as SourceRecordType[],
    qemu: 'running' as SourceQemu,
    switching: false,
  };
  d = {
    up: true,
    state: undefined as DestinationState | undefined,
    effects: [] as DestinationEffect[],
    stored: [] as DestinationRecordType[],
    journal: [] as DestinationRecordType[],
    qemu: 'none' as DestinationQemu,
    snapshot: -1,
    ran: false,
    /** A record could not be cut off again: this life of the agent writes no more. */
    broken: false,
    /** This life of the agent has watched the guest's QEMU since it was loaded. */
    watched: false,
  };

  constructor(standby = false) {
    this.standby = standby;
  }

  /** What happened so far, for a failed check. */
  get story(): string {
    return this.#taken.join(', ');
  }

  take(action: Action): void {
    this.#taken.push(action.name);
    try {
      action.run();
    } catch (error) {
      throw new Error(`${this.story}: ${String(error)}`);
    }
  }

  #source(event: SourceEvent): void {
    const step = stepSource(this.s.state, event);
    this.s.state = step.state;
    this.s.effects.push(...step.effects);
  }

  #destination(event: DestinationEvent): void {
    if (this.d.state === undefined) return;
    const step = stepDestination(this.d.state, event);
    this.d.state = step.state;
    this.d.effects.push(...step.effects);
  }

  #runSource(): void {
    this.s.qemu = 'running';
    if (this.d.ran) throw new Error('the source runs a guest that has run at the destination');
  }

  #runDestination(): void {
    this.d.qemu = 'running';
    this.d.ran = true;
    if (this.s.qemu === 'running') throw new Error('two guests run');
    if (this.d.snapshot !== this.clock && this.failedWithdrawals === 0) {
      throw new Error('the guest stepped back in time');
    }
  }

  /** All that can happen now. */
  actions(): Action[] {
    const actions: Action[] = [];
    const can = (name: string, run: () => void) => actions.push({ name, fault: false, run });
    const may = (name: string, run: () => void) => actions.push({ name, fault: true, run });
    const { s, d } = this;
    if (s.up) {
      for (const effect of s.effects) this.#sourceEffect(effect, can, may);
      for (const record of s.stored) {
        can(`source durable ${record}`, () => {
          s.stored.splice(s.stored.indexOf(record), 1);
          this.#source({ type: 'durable', record });
        });
      }
      may('source fails', () => this.#source({ type: 'failed', reason }));
      may('user abandons', () => this.#source({ type: 'abandon', reason }));
      if (d.up) may('session ends', () => this.#endSession());
      if (s.state.kind === 'sealed') may('unanswered', () => this.#source({ type: 'unanswered' }));
      may('source agent dies', () => this.killSource());
    } else can('source agent starts', () => this.startSource());
    if (d.up) {
      for (const effect of d.effects) this.#destinationEffect(effect, can, may);
      for (const record of d.stored) {
        can(`destination durable ${record}`, () => {
          d.stored.splice(d.stored.indexOf(record), 1);
          this.#destination({ type: 'durable', record });
        });
      }
      if (d.state !== undefined) {
        may('destination fails', () => this.#destination({ type: 'failed', reason }));
      }
      may('destination agent dies', () => {
        this.killDestination();
      });
    } else can('destination agent starts', () => this.startDestination());
    this.#qemuActions(can, may);
    for (const message of new Set(this.network)) {
      const receiver = towardDestination.includes(message) ? d : s;
      if (receiver.up) can(`deliver ${message}`, () => this.#deliver(message));
      may(`lose ${message}`, () => this.#take(message));
      if (this.network.length < 6) may(`repeat ${message}`, () => this.network.push(message));
    }
    return actions;
  }

  /** Both ends notice; a complete guest waits for its seal over another session. */
  #endSession(): void {
    this.network = [];
    this.#source({ type: 'failed', reason });
    if (this.d.state?.kind !== 'loaded') this.#destination({ type: 'abandon', reason });
  }

  #qemuActions(
    can: (name: string, run: () => void) => void,
    may: (name: string, run: () => void) => void,
  ): void {
    const { s, d } = this;
    if (s.qemu === 'running') {
      can('guest works', () => {
        this.clock += 1;
        if (d.qemu === 'running') throw new Error('two guests run');
      });
    }
    if (s.up && s.switching && s.qemu === 'running') {
      can('guest stops', () => {
        s.qemu = 'finishing';
      });
    }
    const relayed = s.up && d.up && s.switching && s.qemu === 'finishing';
    if (relayed && d.qemu === 'incoming' && d.state?.kind === 'receiving') {
      can('all arrives', () => {
        Object.assign(d, { qemu: 'loaded', snapshot: this.clock, watched: true });
        this.#destination({ type: 'loaded' });
      });
    }
    if (relayed && d.qemu === 'loaded' && d.snapshot === this.clock) {
      can('source QEMU completes', () => {
        s.qemu = 'postmigrate';
        this.#source({ type: 'migrated' });
      });
    }
    if (s.qemu === 'finishing') may('source QEMU resumes by itself', () => this.#runSource());
    if (s.qemu !== 'gone') {
      may('source QEMU dies', () => {
        s.qemu = 'gone';
        this.killed = true;
        if (s.up) this.#source({ type: 'guest-gone' });
      });
    }
    if (d.qemu !== 'none' && d.qemu !== 'gone') {
      may('destination QEMU dies', () => {
        d.qemu = 'gone';
        this.killed = true;
        if (d.up) this.#destination({ type: 'failed', reason });
      });
    }
  }

  #sourceEffect(
    effect: SourceEffect,
    can: (name: string, run: () => void) => void,
    may: (name: string, run: () => void) => void,
  ): void {
    const { s } = this;
    const take = () => s.effects.splice(s.effects.indexOf(effect), 1);
    const isAppend = effect.type === 'append' || effect.type === 'append-again';
    const named = effect.type === 'keep-up' ? 'trigger' : effect.type;
    const name = isAppend ? `source ${effect.type} ${effect.record}` : named;
    can(name, () => {
      take();
      switch (effect.type) {
        case 'preflight':
          this.#source({ type: 'suitable' });
          return;
        case 'prepare':
          this.network.push('prepare');
          return;
        case 'start-disks':
          this.#source({ type: 'disks-ready' });
          return;
        case 'start-memory':
          this.#source({ type: this.standby ? 'filled' : 'converged' });
          return;
        case 'keep-up':
          this.#source({ type: 'triggered' });
          return;
        case 'converge':
          this.#source({ type: 'converged' });
          return;
        case 'switch-over':
          s.switching = true;
          return;
        case 'append':
        case 'append-again':
          s.journal.push(effect.record);
          s.stored.push(effect.record);
          return;
        case 'seal':
        case 'ask-again':
          this.network.push('seal');
          return;
        case 'notify-abort':
          this.network.push('abort');
          return;
        case 'take-back':
          return;
        case 'resume':
          s.switching = false;
          s.effects = s.effects.filter((other) => !isAttempt(other));
          if (s.qemu === 'gone') return this.#source({ type: 'guest-gone' });
          this.#runSource();
          this.#source({ type: 'resumed' });
          return;
        case 'destroy-copy':
          s.qemu = 'gone';
      }
    });
    if (!isAppend) return;
    for (const stored of [true, false]) {
      may(`${name} fails, stored: ${stored}`, () => {
        take();
        if (stored) s.journal.push(effect.record);
        else if (effect.record === 'handoff-aborted') this.failedWithdrawals += 1;
        this.#source({ type: 'not-durable', record: effect.record, reason });
      });
    }
  }

  #destinationEffect(
    effect: DestinationEffect,
    can: (name: string, run: () => void) => void,
    may: (name: string, run: () => void) => void,
  ): void {
    const { d } = this;
    const take = () => d.effects.splice(d.effects.indexOf(effect), 1);
    const name = effect.type === 'append' ? `destination append ${effect.record}` : effect.type;
    const rejected = () => {
      take();
      if (effect.type !== 'append') return;
      this.#destination({ type: 'not-durable', record: effect.record, reason });
    };
    if (effect.type === 'append' && d.broken) {
      can(`${name} is rejected`, rejected);
      return;
    }
    can(name, () => {
      take();
      switch (effect.type) {
        case 'prepare':
          d.qemu = 'incoming';
          this.#destination({ type: 'prepared' });
          return;
        case 'append':
          d.journal.push(effect.record);
          d.stored.push(effect.record);
          return;
        case 'answer-prepared':
          this.network.push('prepared');
          return;
        case 'answer-loaded':
          this.network.push('loaded');
          return;
        case 'activate':
          if (d.qemu === 'loaded' || d.qemu === 'running') {
            if (d.qemu === 'loaded') this.#runDestination();
            this.#destination({ type: 'activated' });
            return;
          }
          this.#destination({ type: 'not-activated', ran: d.ran || !d.watched, reason });
          return;
        case 'answer-claimed':
          this.network.push('claimed');
          return;
        case 'answer-unsettled':
        case 'tell-lost':
          return;
        case 'answer-refused':
          this.network.push('refused');
          return;
        case 'discard':
          if (d.ran) throw new Error('a guest that ran is discarded');
          d.qemu = 'gone';
          this.#destination({ type: 'discarded' });
          return;
      }
    });
    if (effect.type === 'append') {
      may(`${name} fails, not stored`, rejected);
      may(`${name} fails, stored, and the journal with it`, () => {
        d.journal.push(effect.record);
        d.broken = true;
        rejected();
      });
    }
    if (effect.type === 'activate' && d.qemu === 'loaded' && d.watched) {
      may('cont is refused', () => {
        take();
        this.#destination({ type: 'not-activated', ran: false, reason });
      });
    }
  }

  #take(message: Message): void {
    this.network.splice(this.network.indexOf(message), 1);
  }

  #deliver(message: Message): void {
    this.#take(message);
    switch (message) {
      case 'prepare':
        if (this.d.state !== undefined || this.d.journal.length > 0) return;
        this.d.state = initialDestination.state;
        this.d.effects.push(...initialDestination.effects);
        return;
      case 'seal':
        // A handoff nobody knows here is refused, on record, before it is answered.
        if (this.d.state === undefined) {
          this.d.state = { kind: 'refusing', reason, claimed: false, discarded: false };
          this.d.effects.push({ type: 'append', record: 'incoming-refused' });
          return;
        }
        this.#destination({ type: 'seal' });
        return;
      case 'abort':
        this.#destination({ type: 'abandon', reason });
        return;
      case 'refused':
        this.#source({ type: 'refused', reason });
        return;
      default:
        this.#source({ type: message });
        return;
    }
  }

  killDestination(): void {
    const { d } = this;
    Object.assign(d, { up: false, effects: [], stored: [], state: undefined });
    Object.assign(d, { watched: false, broken: false });
  }

  killSource(): void {
    Object.assign(this.s, { up: false, effects: [], stored: [], switching: false });
  }

  startSource(): void {
    const { s } = this;
    s.up = true;
    const migrations = { running: undefined, finishing: 'device', postmigrate: 'completed' };
    const found = recoverSource(
      s.journal,
      s.qemu === 'gone'
        ? { kind: 'gone' }
        : {
            kind: 'present',
            status: s.qemu === 'finishing' ? 'finish-migrate' : s.qemu,
            migration: migrations[s.qemu],
            exports: 0,
          },
    );
    const guest = s.qemu === 'gone' ? 'gone' : 'running';
    // Nothing is left to do: the journal says whose it is.
    const ended: SourceState = s.journal.includes('handoff-released')
      ? { kind: 'handed-over' }
      : { kind: 'stayed', reason, guest, reclaimed: false };
    s.state = found?.state ?? ended;
    s.effects = [...(found?.effects ?? [])];
  }

  startDestination(): void {
    const { d } = this;
    d.up = true;
    const found = recoverDestination(
      d.journal,
      d.qemu === 'gone' || d.qemu === 'none'
        ? { kind: 'gone' }
        : {
            kind: 'present',
            status: { incoming: 'inmigrate', loaded: 'paused', running: 'running' }[d.qemu],
            migration: d.qemu === 'incoming' ? 'active' : 'completed',
            exports: d.qemu === 'incoming' ? 1 : 0,
          },
    );
    d.state = found?.state;
    d.effects = [...(found?.effects ?? [])];
  }

  /** Everything is back, nothing fails any more; time passes until nothing is left to do. */
  heal(): void {
    if (!this.s.up) this.startSource();
    if (!this.d.up) this.startDestination();
    this.#taken.push('| healed');
    for (let round = 0; round < 400; round += 1) {
      const next = this.actions().find((action) => !action.fault && action.name !== 'guest works');
      if (next !== undefined) this.take(next);
      else if (this.d.broken) {
        this.killDestination();
        this.startDestination();
      } else if (this.s.state.kind === 'sealed') this.#source({ type: 'unanswered' });
      else if (!this.settled.source) this.#source({ type: 'failed', reason });
      else if (!this.settled.destination) this.#destination({ type: 'failed', reason });
      else return;
    }
    throw new Error(`never settles: ${this.s.state.kind} ${this.d.state?.kind}`);
  }

  get settled(): { source: boolean; destination: boolean } {
    const ended = [undefined, 'running', 'lost', 'refused'];
    return {
      source: this.s.state.kind === 'stayed' || this.s.state.kind === 'handed-over',
      destination: ended.includes(this.d.state?.kind),
    };
  }
}
