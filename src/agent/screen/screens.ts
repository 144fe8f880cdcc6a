/** Screens of guests: shown to viewers here and to places that are party to the guest, fetched from where it runs. */
import { type EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { z } from 'zod';
import { noteFrame, type PlaceRef } from '../../api/index.ts';
import { asSojournError, SojournError, toWireError } from '../../common/index.ts';
import { guestPaths } from '../../guest/index.ts';
import { displayOf, type GuestSpec, guestId } from '../../guest/spec.ts';
import type { Session } from '../../transport/index.ts';
import type { GuestFiles } from '../guests/guest-files.ts';
import type { Guests } from '../guests/guests.ts';
import type { Journal } from '../ownership/journal.ts';
import { type Parties, requireParty } from '../places/parties.ts';
import type { Places } from '../places/places.ts';
import type { Whereabouts } from '../places/whereabouts.ts';
import { Clipboards } from './clipboards.ts';
import { Viewing } from './viewing.ts';

/** Viewers of guests that run here, of all guests together; QEMU takes 16 of each. */
const MAX_VIEWINGS = 64;
/** Of them by one other place. */
const MAX_VIEWINGS_OF_PEER = 16;
/** Kind of the channel by which another place shows a screen. */
const CHANNEL = 'screen';
/** A guest that has left so lately has not gone on from there, ms. */
const JUST_NOW_MS = 10_000;
/** From a guest's claim to its running it takes milliseconds; a viewer waits for so long, ms. */
const ARRIVAL_MS = 5_000;
/** Of QEMU's main loop, ms; a handoff that would wait longer has other troubles. */
const ROUND_MS = 1_000;
const meta = z.object({ guestId });

export interface ScreensOptions extends Parties {
  readonly guests: Guests;
  readonly files: GuestFiles;
  readonly journal: Journal;
  readonly places: Places;
  /** It comes just now, and may not run yet. */
  readonly isArriving: (guestId: string) => boolean;
  /** Emits `change` when it has come. */
  readonly changes: EventEmitter<{ change: [] }>;
}

export class Screens {
  readonly #options: ScreensOptions;
  readonly #clipboards: Clipboards;
  readonly #viewings = new Map<string, Set<Viewing>>();
  /** Where guests have just gone, before it is on record. */
  readonly #gone = new Map<string, PlaceRef>();
  /** Asked where a guest is when the place that is thought to have it does not; given late, because it needs places. */
  whereabouts: Whereabouts | undefined;

  constructor(options: ScreensOptions) {
    this.#options = options;
    this.#clipboards = new Clipboards(options);
  }

  /**
   * A stream of frames of the guest's screen (`api/screen.ts`), wherever it runs.
   * @throws SojournError `no-display`, `not-running`, `guest-in-doubt`, `too-many-viewers`, `not-paired`, `peer-unreachable`
   */
  async open(spec: GuestSpec): Promise<Duplex> {
    requireDisplay(spec);
    const { journal, guests } = this.#options;
    const ownership = journal.ownership(spec.id);
    const gone = this.#gone.get(spec.id);
    if (ownership.kind === 'here' && guests.live(spec.id) !== undefined) {
      const [ours, theirs] = duplexPair();
      // The halves of a pair do not tell each other.
      ours.once('close', () => theirs.destroy());
      await this.#view(spec, theirs);
      return ours;
    }
    if (ownership.kind === 'elsewhere')
      return this.#fetch(spec, await this.#placeOf(spec, ownership.place, ownership.since));
    if (gone !== undefined) return this.#fetch(spec, gone.id);
    if (ownership.kind === 'in-doubt') throw inDoubt(spec);
    throw notRunning(spec, this.#options.places.self);
  }

  /** Lets the other place look at guests that it is party to. */
  serve(session: Session): void {
    let count = 0;
    session.onChannel(CHANNEL, (channel) => {
      count += 1;
      channel.once('close', () => {
        count -= 1;
      });
      const begin = async () => {
        const { guestId: id } = meta.parse(channel.meta);
        const { spec } = requireParty(this.#options, session.peer, id);
        requireDisplay(spec);
        if (count > MAX_VIEWINGS_OF_PEER) throw tooMany();
        if (this.#options.journal.ownership(id).kind !== 'here')
          throw notRunning(spec, this.#options.places.self);
        await this.#view(spec, channel);
      };
      begin().catch((error: unknown) => refuse(channel, error));
    });
  }

  /** The guest is about to stop here. Resolves when what was typed before has reached it: some milliseconds. */
  async hold(id: string): Promise<void> {
    const viewings = this.#of(id);
    for (const viewing of viewings) viewing.hold();
    const qmp = this.#options.guests.live(id)?.process.qmp;
    if (viewings.length === 0 || qmp === undefined) return;
    // QEMU's main loop reads both sockets: it has read the display's once it has come round for a second question.
    for (let round = 0; round < 2; round++)
      await qmp.execute('query-status', undefined, { timeoutMs: ROUND_MS });
  }

  /** It has stayed. */
  goOn(id: string): void {
    for (const viewing of this.#of(id)) viewing.goOn();
  }

  /** It runs at the other place. */
  moved(id: string, to: PlaceRef): void {
    this.#gone.set(id, to);
    for (const viewing of this.#of(id)) viewing.moved(to);
  }

  /** It is on record where it is. */
  settled(id: string): void {
    this.#gone.delete(id);
    // Whatever ended the handoff: who is still held by it stays here.
    this.goOn(id);
  }

  close(): void {
    this.#clipboards.close();
    for (const viewings of this.#viewings.values())
      for (const viewing of viewings) viewing.end(agentEnds());
  }

  #of(id: string): Viewing[] {
    return [...(this.#viewings.get(id) ?? [])];
  }

  async #view(spec: GuestSpec, viewer: Duplex): Promise<void> {
    const { guests, files, places } = this.#options;
    const count = [...this.#viewings.values()].reduce((sum, { size }) => sum + size, 0);
    if (count >= MAX_VIEWINGS) throw tooMany();
    await this.#arrived(spec.id);
    if (guests.live(spec.id) === undefined) throw notRunning(spec, places.self);
    const display = connect(guestPaths(files.directory(spec)).vncSocket);
    try {
      await once(display, 'connect');
    } catch (error) {
      throw notRunning(spec, places.self, error);
    }
    const viewing = new Viewing({
      ...{ viewer, display, place: places.self, guestName: spec.name },
      clipboard: this.#clipboards.of(spec.id),
    });
    const all = this.#viewings.get(spec.id) ?? new Set();
    this.#viewings.set(spec.id, all.add(viewing));
    void viewing.ended.then(() => {
      all.delete(viewing);
      if (all.size === 0) this.#viewings.delete(spec.id);
    });
  }

  /** What is typed before a guest runs is lost with no trace. */
  async #arrived(id: string): Promise<void> {
    const { isArriving, changes } = this.#options;
    const signal = AbortSignal.timeout(ARRIVAL_MS);
    while (isArriving(id) && !signal.aborted)
      await once(changes, 'change', { signal }).catch(() => undefined);
  }

  async #fetch(spec: GuestSpec, place: string): Promise<Duplex> {
    const session = await this.#options.places.connected(place);
    return session.openChannel(CHANNEL, { guestId: spec.id });
  }

  /** Our own journal's last word costs no question: whoever looks while a guest moves shall not wait for one. */
  async #placeOf(spec: GuestSpec, last: string, since: number): Promise<string> {
    if (Date.now() - since < JUST_NOW_MS) return last;
    const sighting = await this.whereabouts?.of(spec, last);
    return sighting?.place.id ?? last;
  }
}

/** Ends a stream that never began, so that its viewer learns why. */
export function refuse(viewer: Duplex, error: unknown): void {
  const known = asSojournError(error);
  viewer.end(noteFrame({ kind: 'over', bytes: 0, to: null, error: toWireError(known) }));
}

/** @throws SojournError `no-display` */
export function requireDisplay({ abi, name }: GuestSpec): void {
  if (displayOf(abi) !== undefined) return;
  throw new SojournError({
    kind: 'conflict',
    code: 'no-display',
    message: `${name} was created without a screen`,
    remedy: `Use its console, "sojourn guest console ${name}", or create a guest with --display vga`,
  });
}

function notRunning({ name }: GuestSpec, place: PlaceRef, cause?: unknown): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'not-running',
    message: `${name} is not running at ${place.name}`,
    remedy: `Start it with "sojourn guest start ${name}"`,
    cause,
  });
}

function inDoubt({ name }: GuestSpec): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'guest-in-doubt',
    message: `It is not known yet where ${name} runs`,
    remedy: `See "sojourn guest recover ${name}"`,
  });
}

function tooMany(): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'too-many-viewers',
    message: 'Too many screens are being looked at',
    remedy: 'Close one of them',
  });
}

function agentEnds(): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'agent-gone',
    message: 'The agent is ending',
    remedy: 'Start it again (guests go on without it)',
  });
}
