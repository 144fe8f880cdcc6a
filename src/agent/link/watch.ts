/**
 * Watches the link of a device and does what its policy says, through the same code as a person's commands. One monitor reads the
 * sensor and forecasts; each guest has a policy state of its own. What a person does by hand is left alone (`hold.ts`).
 */
import type { Logger } from 'pino';
import type { DecisionView, LinkView, Notice, PlaceRef, StandbyView } from '../../api/index.ts';
import { errorText, SojournError } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { Manner } from '../../handoff/index.ts';
import {
  type Decision,
  LinkMonitor,
  type LinkSample,
  type LinkSensor,
  type MonitorEvent,
  type Outlook,
  type SensorState,
  type Situation,
} from '../../link/index.ts';
import type { Session } from '../../transport/index.ts';
import type { PolicyStore } from '../state/policy-store.ts';
import { circumstances } from './hold.ts';
import { Host, type ToldConditions } from './host.ts';
import { Mover } from './mover.ts';
import { ProbedPlaces } from './place-probes.ts';
import type { TraceSensor } from './sensor.ts';
import { linkView } from './view.ts';
import { Watched } from './watched.ts';

export interface WatchedGuest {
  readonly spec: GuestSpec;
  readonly at: 'here' | 'moving' | 'away';
  readonly standby: StandbyView | null;
}

export interface WatchPorts {
  /** Those that run here, and those of this place that run elsewhere. */
  readonly guests: () => readonly WatchedGuest[];
  /** Where a guest stands by of which nobody has said where; undefined without such a place. */
  readonly standbyPlace: (spec: GuestSpec) => PlaceRef | undefined;
  readonly session: (place: string) => Session | undefined;
  readonly arm: (spec: GuestSpec, place: PlaceRef) => Promise<void>;
  readonly tighten: (guests: ReadonlySet<string>) => void;
  /** Asked again with `urgent` it hurries the handoff under way. */
  readonly handOff: (
    spec: GuestSpec,
    to: PlaceRef,
    manner: Manner,
    signal: AbortSignal,
  ) => Promise<unknown>;
  readonly bringBack: (spec: GuestSpec, manner: Manner, signal: AbortSignal) => Promise<unknown>;
  /** Which device the person uses whose guests these are. */
  readonly personAt: () => Situation['personAt'];
  /** A view may have changed. */
  readonly changed: () => void;
}

export interface LinkWatchOptions {
  readonly sensor: LinkSensor | undefined;
  readonly trace: TraceSensor | undefined;
  readonly store: PolicyStore;
  readonly ports: WatchPorts;
  readonly log: Logger;
}

/** Device state of a small guest, beside what it has changed; bytes on the link. */
const STATE_BYTES = 16 * 1024;
/** A guest that changes more than this is busy, bytes a second. */
const BUSY_BYTES_PER_SECOND = 1_000_000;
/** With less time left nobody waits for a short pause, s. */
const URGENT_SECONDS = 5;
/** A handoff on a link that has been silent for so long waits in vain, ms. */
const SILENT_MS = 5_000;
/** Upkeep stays tight for so long after the last reason for it, ms. */
const TIGHT_MS = 15_000;
const REMEMBER_EVERY_MS = 60_000;
/** Changes of decisions that are kept for whoever looks. */
const MAX_RECENT = 64;

type DecisionEvent = Extract<MonitorEvent, { kind: 'decision' }>;

export class LinkWatch {
  readonly #options: LinkWatchOptions;
  readonly #monitor: LinkMonitor;
  readonly #host: Host;
  readonly #mover: Mover;
  readonly #probes = new ProbedPlaces();
  readonly #watched = new Map<string, Watched>();
  readonly #recent: DecisionView[] = [];
  #guests: readonly WatchedGuest[] = [];
  #last: DecisionEvent | undefined;
  #sensorText: string | undefined;
  #silentSinceMs: number | undefined;
  #tight: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: LinkWatchOptions) {
    const { sensor, store, log, trace, ports } = options;
    this.#options = options;
    this.#host = new Host({ ownFacts: trace === undefined });
    this.#mover = new Mover(
      log,
      () => performance.now(),
      (move, error) => {
        // Its result is known now; what the guest does next is not a person's doing.
        const watched = this.#watched.get(move.spec.id);
        if (error === undefined) watched?.movedByUs(move.action === 'fire' ? 'away' : 'here');
        ports.changed();
      },
    );
    this.#monitor = new LinkMonitor({
      sensor,
      rules: () => store.rules,
      situation: (sample) => this.#whole(sample),
      memories: store.memories,
    });
    this.#monitor.subscribe((event) => this.#take(event));
  }

  async start(): Promise<void> {
    await this.#host.start();
    this.#monitor.start();
    this.#timer = setInterval(() => this.#remember(), REMEMBER_EVERY_MS);
  }

  /** Ends what may still be ended. Safe to call again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#monitor.close();
    await this.#mover.close();
    this.#host.close();
    this.#probes.close();
    this.#remember();
  }

  /** Decides at once by what is told. */
  tell(told: ToldConditions): void {
    this.#host.tell(told, performance.now());
    this.#monitor.reconsider();
  }

  /** The rules have changed. */
  reconsider(): void {
    this.#monitor.reconsider();
  }

  /** @throws SojournError `no-recording` */
  play(): number {
    const { trace } = this.#options;
    if (trace !== undefined) return trace.play();
    throw new SojournError({
      kind: 'conflict',
      code: 'no-recording',
      message: 'The agent looks at its own link, not at a recording',
      remedy: 'Start it with --link-trace FILE',
    });
  }

  /** What a person should know of what was tried. */
  notices(): Notice[] {
    return this.#mover.notices();
  }

  view(): LinkView {
    const { sensor, store } = this.#options;
    const now = [...this.#watched.values()].map(({ view }) => view);
    return linkView({
      ...{ sensor, rules: store.rules, now, recent: this.#recent },
      sensorState: this.#monitor.sensorState,
      outlook: this.#last?.outlook,
      sample: this.#last?.sample,
      rttMs: this.#best()?.rttMs,
    });
  }

  #take(event: MonitorEvent): void {
    if (event.kind === 'sensor') {
      this.#sensorBecame(event.state);
      return;
    }
    this.#last = event;
    if (event.outlook?.evidence !== 'silent') this.#silentSinceMs = undefined;
    else this.#silentSinceMs ??= event.atMs;
    for (const guest of this.#guests) this.#decide(guest, event);
    for (const id of [...this.#watched.keys()])
      if (!this.#guests.some(({ spec }) => spec.id === id)) {
        this.#watched.delete(id);
        this.#mover.forget(id);
        this.#options.store.keepHold(id, undefined);
      }
    this.#keepTight(event.atMs);
    this.#attend(event);
    const rate = this.#best()?.bytesPerSecond;
    if (rate !== undefined && event.sample?.connected === true) this.#monitor.achieved(rate);
  }

  /** One that stays broken is not told of at every try. */
  #sensorBecame(state: SensorState): void {
    const { log, sensor, ports } = this.#options;
    const text = state.kind === 'broken' ? state.reason : state.kind;
    if (text !== this.#sensorText) log.info({ sensor: sensor?.name, ...state }, 'link sensor');
    this.#sensorText = text;
    ports.changed();
  }

  #decide(guest: WatchedGuest, event: DecisionEvent): void {
    const { log, ports, store } = this.#options;
    const { atMs, outlook, sample } = event;
    const { id, name } = guest.spec;
    const watched = this.#watched.get(id) ?? new Watched(guest.spec, store.hold(id), atMs);
    this.#watched.set(id, watched);
    const held = watched.hold;
    const situation = this.#situation(guest, sample);
    const own = this.#mover.move?.spec.id === id;
    const because = watched.notice(guest, circumstances(situation, outlook), atMs, own);
    if (because !== undefined)
      log.info({ guest: name, because }, 'left alone after what was done by hand');
    if (watched.hold?.begun !== held?.begun) store.keepHold(id, watched.hold);
    const { decision, isNew } = watched.decide({ ...situation, atMs, outlook }, store.rules);
    if (isNew) {
      this.#recent.push(watched.view);
      if (this.#recent.length > MAX_RECENT) this.#recent.shift();
      const { action, code, why } = decision;
      log[action === 'none' ? 'debug' : 'info']({ guest: name, action, code, why }, 'policy');
      ports.changed();
    }
    if (decision.action === 'tighten' || decision.action === 'fire')
      watched.tightUntilMs = atMs + TIGHT_MS;
    this.#carryOut(guest, decision, outlook);
  }

  #carryOut({ spec, standby, at }: WatchedGuest, decision: Decision, outlook?: Outlook): void {
    const { ports, log } = this.#options;
    if (decision.action === 'arm' && standby === null) {
      const place = ports.standbyPlace(spec);
      if (place !== undefined)
        ports.arm(spec, place).catch((error: unknown) => {
          log.warn({ guest: spec.name, reason: errorText(error) }, 'not armed');
        });
      return;
    }
    if (!this.#mover.isFree(spec.id)) return;
    if (decision.action === 'return') {
      const manner = { urgent: decision.inhibit, slowGuest: false };
      this.#mover.begin(spec, 'return', manner.urgent, (signal) =>
        ports.bringBack(spec, manner, signal),
      );
    }
    const to = standby?.place ?? ports.standbyPlace(spec);
    if (decision.action !== 'fire' || at !== 'here' || to === undefined) return;
    const urgent = decision.inhibit || isUrgent(outlook) || decision.code === 'suspect';
    this.#mover.begin(spec, 'fire', urgent, (signal) =>
      ports.handOff(spec, to, { urgent, slowGuest: false }, signal),
    );
  }

  /** A handoff under way: hurries it, or gives it up. */
  #attend({ atMs, outlook }: DecisionEvent): void {
    const { move } = this.#mover;
    if (move === undefined) return;
    if (this.#silentSinceMs !== undefined && atMs - this.#silentSinceMs >= SILENT_MS) {
      this.#mover.cancel();
      return;
    }
    if (move.action !== 'fire' || move.urgent || !isUrgent(outlook)) return;
    const { ports, log } = this.#options;
    const to = this.#guests.find(({ spec }) => spec.id === move.spec.id)?.standby?.place;
    if (to === undefined) return;
    move.urgent = true;
    ports
      .handOff(move.spec, to, { urgent: true, slowGuest: false }, new AbortController().signal)
      .catch((error: unknown) =>
        log.debug({ guest: move.spec.name, reason: errorText(error) }, 'not hurried'),
      );
  }

  #keepTight(atMs: number): void {
    const tight = [...this.#watched].filter(([, { tightUntilMs }]) => tightUntilMs > atMs);
    const ids = new Set(tight.map(([id]) => id));
    if (ids.size === this.#tight.size && [...ids].every((id) => this.#tight.has(id))) return;
    this.#tight = ids;
    this.#options.ports.tighten(ids);
  }

  /** Of the device: how closely the sensor has to look. Asked before every event. */
  #whole(sample: LinkSample | undefined): Situation {
    this.#guests = this.#options.ports.guests();
    const first = this.#guests.find(({ at }) => at === 'here') ?? this.#guests[0];
    if (first !== undefined) return this.#situation(first, sample);
    const nobody = {
      guest: 'here',
      guestBusy: false,
      residueBytes: undefined,
      arming: true,
    } as const;
    return { ...nobody, ...this.#surroundings(undefined, sample) };
  }

  #situation({ spec, at, standby }: WatchedGuest, sample: LinkSample | undefined): Situation {
    const place = standby?.place ?? this.#options.ports.standbyPlace(spec);
    const own = residueOf(standby);
    // All that shares the link has to get over it.
    const others = this.#guests.filter((one) => one.spec.id !== spec.id && one.at !== 'away');
    const shared = others.reduce((sum, one) => sum + (residueOf(one.standby) ?? 0), 0);
    return {
      guest: at,
      guestBusy: (standby?.dirtyBytesPerSecond ?? 0) > BUSY_BYTES_PER_SECOND,
      residueBytes: own === undefined ? undefined : own + shared,
      arming: standby !== null,
      ...this.#surroundings(place?.id, sample),
    };
  }

  #surroundings(place: string | undefined, sample: LinkSample | undefined) {
    const view = place === undefined ? undefined : this.#probe(place);
    return {
      probes: { suspect: view?.suspect ?? false, bytesPerSecond: view?.bytesPerSecond },
      ...this.#host.facts(sample, performance.now()),
      personAt: this.#options.ports.personAt(),
      wish: undefined,
    };
  }

  #probe(place: string) {
    return this.#probes.view(place, this.#options.ports.session(place));
  }

  /** Of the places that matter to guests. */
  #best() {
    const { standbyPlace } = this.#options.ports;
    const places = this.#guests.flatMap(
      ({ spec, standby }) => standby?.place ?? standbyPlace(spec) ?? [],
    );
    const views = [...new Set(places.map(({ id }) => id))].flatMap((id) => this.#probe(id) ?? []);
    return views.find(({ rttMs }) => rttMs !== undefined) ?? views[0];
  }

  #remember(): void {
    this.#options.store.memories = this.#monitor.memories;
  }
}

function residueOf(standby: StandbyView | null): number | undefined {
  if (standby?.state !== 'armed' || standby.residueBytesOnLink === null) return undefined;
  return standby.residueBytesOnLink + STATE_BYTES;
}

function isUrgent(outlook: Outlook | undefined): boolean {
  return outlook !== undefined && outlook.secondsLeft < URGENT_SECONDS;
}
