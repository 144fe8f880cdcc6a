/**
 * The destination's side: one object per agent, which serves every session and remembers handoffs across
 * sessions, so that a seal that is repeated over another session finds its guest.
 */
import { SojournError } from '../common/index.ts';
import type { GuestSpec } from '../guest/spec.ts';
import { DestinationHandoff } from './destination-handoff.ts';
import {
  DISK_CHANNEL,
  diskChannelMeta,
  type HandoffKey,
  MEMORY_CHANNEL,
  memoryChannelMeta,
  type Params,
  type Result,
} from './messages.ts';
import type {
  ChannelPort,
  Clock,
  GuestHostPort,
  IncomingGuest,
  IncomingRequest,
  LogPort,
  OwnershipJournalPort,
  SessionPort,
} from './ports.ts';
import type { PreflightProblem } from './preflight.ts';
import type { DestinationRecordType } from './records.ts';
import { recoverDestination } from './recovery.ts';
import { handle } from './rpc.ts';
import { findQemu } from './source-qemu.ts';

/** Guests that may be arriving at once. */
const MAX_INCOMING = 8;
/** Ended handoffs whose answers are kept in memory; older ones are answered from the journal. */
const MAX_ENDED = 64;
/** Unknown handoffs of one peer that are refused on record while this agent runs. */
const MAX_REFUSALS = 1_000;

export interface DestinationDeps {
  readonly host: GuestHostPort;
  readonly journal: OwnershipJournalPort;
  /** Everything that keeps the guest from running here; empty if nothing does. */
  readonly preflight: (spec: GuestSpec, from: string) => Promise<readonly PreflightProblem[]>;
  /**
   * Throws why the guest may not come: it is ours already, its epoch or its addresses are wrong, it cannot run here, or nobody
   * wants it. May ask a person; `signal` says that the other place has lost interest.
   */
  readonly admit: (request: IncomingRequest, signal: AbortSignal) => Promise<void>;
  readonly now: Clock;
  /** How long this host is up, ms, asleep or awake. */
  readonly uptime?: Clock;
  readonly log: LogPort;
}

export class HandoffDestination {
  readonly #deps: DestinationDeps;
  readonly #handoffs = new Map<string, DestinationHandoff>();
  readonly #refusals = new Map<string, number>();
  /** Handoffs that are not among those yet, by id: the source, or its session, may end them before they begin. */
  readonly #admissions = new Map<
    string,
    { readonly session: SessionPort; readonly ended: AbortController }
  >();

  constructor(deps: DestinationDeps) {
    this.#deps = deps;
  }

  /** Answers the handoff calls and channels of a session. Once for each session. */
  serve(session: SessionPort): void {
    handle(session, 'handoff.preflight', async ({ spec }) => ({
      problems: [...(await this.#deps.preflight(spec, session.peer))],
    }));
    handle(session, 'handoff.prepare', (params, { signal }) =>
      this.#prepare(session, params, signal),
    );
    handle(session, 'handoff.loaded', async (key) => {
      await this.#known(session, key).loaded;
      return {};
    });
    handle(session, 'handoff.seal', (params) => this.#seal(session, params));
    handle(session, 'handoff.abort', async (key) => {
      const admission = this.#admissions.get(key.handoffId);
      if (admission?.session.peer === session.peer) admission.ended.abort();
      this.#find(session, key)?.abandon({
        code: 'handoff-aborted',
        message: 'The other place ended the handoff',
      });
      return {};
    });
    session.onChannel(MEMORY_CHANNEL, (channel) => {
      const meta = memoryChannelMeta.safeParse(channel.meta);
      const handoff = meta.success ? this.#byId(session, meta.data.handoffId) : undefined;
      if (handoff === undefined) refuseChannel(channel);
      else handoff.memory(channel);
    });
    session.onChannel(DISK_CHANNEL, (channel) => {
      const meta = diskChannelMeta.safeParse(channel.meta);
      const handoff = meta.success ? this.#byId(session, meta.data.handoffId) : undefined;
      if (handoff === undefined || !meta.success) refuseChannel(channel);
      else handoff.disk(channel, meta.data.disk);
    });
    session.closed.then(() => {
      for (const admission of this.#admissions.values())
        if (admission.session === session) admission.ended.abort();
      for (const handoff of this.#handoffs.values()) handoff.sessionClosed(session);
    });
  }

  /** Guests of the place that are `unwanted` may not come any more: what has not been handed over yet ends. */
  endFrom(peer: string, unwanted: (guestId: string) => boolean): void {
    for (const { request } of this.#handoffs.values())
      if (request.from === peer && unwanted(request.spec.id))
        this.#handoffs.get(request.handoffId)?.abandon({
          code: 'receiving-off',
          message: 'The other place does not receive guests of this one any more',
        });
  }

  /**
   * After a restart: goes on with an incoming handoff whose records are `incoming-started` or more. `guest` is its
   * QEMU as found, undefined when it is gone. Resolves to what this place is to the guest.
   */
  async recover(
    request: IncomingRequest,
    guest: IncomingGuest | undefined,
  ): Promise<'owner' | 'owner-without-guest' | 'waiting' | 'nothing'> {
    const records = await this.#deps.journal.recordsOf(request.handoffId);
    const types = records.map(({ type }) => type) as DestinationRecordType[];
    const step = recoverDestination(types, await findQemu(guest?.qmp));
    if (step === undefined) return 'nothing';
    const handoff = new DestinationHandoff(this.#deps, request, undefined);
    this.#remember(handoff);
    return handoff.recover(step, guest);
  }

  async #prepare(
    session: SessionPort,
    { handoffId, guestId, epoch, spec, standby, armBack }: Params<'handoff.prepare'>,
    signal: AbortSignal,
  ): Promise<Result<'handoff.prepare'>> {
    if (spec.id !== guestId) throw misuse('the handoff names another guest than its specification');
    const from = session.peer;
    const request: IncomingRequest = { handoffId, epoch, from, spec, standby, armBack };
    if (this.#admissions.has(handoffId)) throw misuse('this handoff has been used before');
    const admission = { session, ended: new AbortController() };
    const { signal: ended } = admission.ended;
    this.#admissions.set(handoffId, admission);
    let handoff: DestinationHandoff;
    try {
      handoff = await this.#admitted(session, request, AbortSignal.any([signal, ended]));
      if (ended.aborted) throw misuse('the other place has ended the handoff');
      this.#remember(handoff);
    } finally {
      this.#admissions.delete(handoffId);
    }
    await handoff.begin();
    return {};
  }

  /** Everything that may keep a handoff from beginning here, in which time passes. */
  async #admitted(
    session: SessionPort,
    request: IncomingRequest,
    signal: AbortSignal,
  ): Promise<DestinationHandoff> {
    const { handoffId, spec } = request;
    await this.#deps.admit(request, signal);
    const live = [...this.#handoffs.values()].filter((handoff) => handoff.isLive);
    const other = live.find((handoff) => handoff.request.spec.id === spec.id);
    if (other !== undefined && !(await this.#superseded(other, session))) {
      throw new SojournError({
        kind: 'conflict',
        code: 'handoff-under-way',
        message: `A handoff of ${spec.name} to this place is under way already`,
        remedy: 'Wait until it has ended',
      });
    }
    if (live.length >= MAX_INCOMING) {
      throw new SojournError({
        kind: 'conflict',
        code: 'too-many-handoffs',
        message: `${MAX_INCOMING} guests are arriving at this place already`,
        remedy: 'Try again when one of them has arrived',
      });
    }
    const known = await this.#deps.journal.recordsOf(handoffId);
    if (known.length > 0 || this.#handoffs.has(handoffId)) {
      throw misuse('this handoff has been used before');
    }
    return new DestinationHandoff(this.#deps, request, session);
  }

  /**
   * A source has one handoff of a guest at a time: the next one says that the other is over, should the message that
   * ended it have been lost.
   */
  async #superseded(other: DestinationHandoff, session: SessionPort): Promise<boolean> {
    if (other.request.from !== session.peer) return false;
    return other.supersede();
  }

  async #seal(
    session: SessionPort,
    { confirmation, ...key }: Params<'handoff.seal'>,
  ): Promise<Result<'handoff.seal'>> {
    const handoff = this.#find(session, key);
    if (handoff !== undefined) return handoff.seal(confirmation);
    const records = await this.#deps.journal.recordsOf(key.handoffId);
    if (records.some(({ type, peer }) => type === 'incoming-claimed' && peer === session.peer)) {
      const refused = records.some(({ type }) => type === 'incoming-refused');
      if (!refused)
        return { outcome: 'claimed', confirmation: null, reason: null, runningAt: null };
    }
    // Never heard of, or refused: on record before it is said, so that no later seal can be accepted.
    if (!records.some(({ type }) => type === 'incoming-refused')) {
      this.#countRefusal(session.peer);
      const { handoffId, guestId, epoch } = key;
      const at = this.#deps.now();
      const record = {
        type: 'incoming-refused',
        handoffId,
        guestId,
        epoch,
        peer: session.peer,
        at,
      };
      await this.#deps.journal.append({ ...record, type: 'incoming-refused' });
    }
    const reason = 'the handoff is not known here';
    return { outcome: 'refused', confirmation: null, reason, runningAt: null };
  }

  /** A refusal of a handoff that nobody has heard of costs a record: a peer may not fill the disk with them. */
  #countRefusal(peer: string): void {
    const count = (this.#refusals.get(peer) ?? 0) + 1;
    if (count > MAX_REFUSALS) {
      throw new SojournError({
        kind: 'refused',
        code: 'too-many-refusals',
        message: `More than ${MAX_REFUSALS} unknown handoffs were asked about`,
        remedy: 'Restart the agent there, and report it if it happens again',
      });
    }
    this.#refusals.set(peer, count);
  }

  /** A peer sees its own handoffs only. */
  #byId(session: SessionPort, handoffId: string): DestinationHandoff | undefined {
    const handoff = this.#handoffs.get(handoffId);
    return handoff?.request.from === session.peer ? handoff : undefined;
  }

  #find(session: SessionPort, key: HandoffKey): DestinationHandoff | undefined {
    const handoff = this.#byId(session, key.handoffId);
    if (handoff === undefined) return undefined;
    const { spec, epoch } = handoff.request;
    if (spec.id !== key.guestId || epoch !== key.epoch) {
      throw misuse('the handoff is of another guest or epoch');
    }
    return handoff;
  }

  #known(session: SessionPort, key: HandoffKey): DestinationHandoff {
    const handoff = this.#find(session, key);
    if (handoff === undefined) throw misuse('the handoff is not known here');
    return handoff;
  }

  #remember(handoff: DestinationHandoff): void {
    this.#handoffs.set(handoff.request.handoffId, handoff);
    const ended = [...this.#handoffs.values()].filter((other) => !other.isLive);
    for (const old of ended.slice(0, -MAX_ENDED)) this.#handoffs.delete(old.request.handoffId);
  }
}

function misuse(message: string): SojournError {
  return new SojournError({ kind: 'refused', code: 'handoff-misuse', message });
}

function refuseChannel(channel: ChannelPort): void {
  channel.destroy(misuse('the handoff is not known here'));
}
