/** One attempt of two devices to pair, over a TLS connection: carries out what `comparison.ts` decides. */
import { randomBytes } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { PlaceInfo } from '../hello.ts';
import {
  beginComparison,
  type ComparisonEvent,
  type ComparisonState,
  type ComparisonStep,
  type Listens,
  type Meeting,
  NONCE_BYTES,
  type Role,
  stepComparison,
} from './comparison.ts';
import { encodeNearby, type NearbyMessage, NearbyReader, type RefusalReason } from './messages.ts';

/** For both sides' commitments and nonces: nobody is waited for, ms. */
export const EXCHANGE_MS = 10_000;
/** For people to compare two screens, ms. */
export const COMPARE_MS = 60_000;
/** For the last message, ms. */
export const CONCLUDE_MS = 10_000;
/** A last word has this long to get out, ms. */
const LINGER_MS = 1_000;

const EXPORTER_LABEL = 'EXPORTER-sojourn-nearby';

export interface EncounterOptions {
  readonly socket: TLSSocket;
  readonly role: Role;
  /** Place ids, that of the other side as proven by TLS. */
  readonly self: string;
  readonly peer: string;
  readonly place: PlaceInfo;
  /** Told to the other side in the end, for it to dial. */
  readonly listens: Listens;
  readonly changed: (state: ComparisonState) => void;
  /** For people to compare, ms; default `COMPARE_MS`. */
  readonly compareMs?: number;
}

export class Encounter {
  readonly role: Role;
  readonly peer: string;
  /** Resolves with how it ended. Never rejects. */
  readonly ended: Promise<ComparisonState>;
  readonly #options: EncounterOptions;
  readonly #meeting: Meeting;
  readonly #reader = new NearbyReader();
  readonly #end = Promise.withResolvers<ComparisonState>();
  #state: ComparisonState = { kind: 'committing' };
  #timer: NodeJS.Timeout | undefined;
  #deadline = 0;

  constructor(options: EncounterOptions) {
    const { socket, role, self, peer, place } = options;
    this.#options = options;
    this.role = role;
    this.peer = peer;
    this.ended = this.#end.promise;
    const binding = socket.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0));
    this.#meeting = { role, self, peer, binding, nonce: randomBytes(NONCE_BYTES) };
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // What closes it is told by `close`.
    socket.on('error', () => undefined);
    socket.on('end', () => this.#dispatch({ type: 'connection-lost' }));
    socket.on('close', () => this.#dispatch({ type: 'connection-lost' }));
    this.#limit(EXCHANGE_MS);
    this.#enter(beginComparison(this.#meeting, place));
  }

  get state(): ComparisonState {
    return this.#state;
  }

  /** Until this side gives up, ms. */
  get msLeft(): number {
    return Math.max(0, this.#deadline - performance.now());
  }

  /** A person has compared the codes. */
  answer(same: boolean): void {
    this.#dispatch({ type: 'answer', same });
  }

  cancel(): void {
    this.#dispatch({ type: 'cancelled' });
  }

  #read(chunk: Buffer): void {
    let messages: NearbyMessage[];
    try {
      messages = this.#reader.read(chunk);
    } catch {
      // No honest peer sends such a thing; what it was does not matter.
      this.#enter({
        state: { kind: 'failed', reason: 'out-of-order' },
        send: [{ type: 'refuse', reason: 'protocol' }],
      });
      return;
    }
    for (const message of messages) this.#dispatch({ type: 'message', message });
  }

  #dispatch(event: ComparisonEvent): void {
    const { kind } = this.#state;
    if (kind === 'paired' || kind === 'failed') return;
    this.#enter(stepComparison(this.#meeting, this.#options.listens, this.#state, event));
  }

  #enter({ state, send }: ComparisonStep): void {
    const before = this.#state;
    this.#state = state;
    const { socket, changed, compareMs = COMPARE_MS } = this.#options;
    for (const message of send) if (socket.writable) socket.write(encodeNearby(message));
    if (before.kind !== state.kind) {
      if (state.kind === 'comparing') this.#limit(compareMs);
      if (state.kind === 'concluding') this.#limit(CONCLUDE_MS);
    }
    changed(state);
    if (state.kind !== 'paired' && state.kind !== 'failed') return;
    clearTimeout(this.#timer);
    bidFarewell(socket);
    this.#end.resolve(state);
  }

  #limit(ms: number): void {
    clearTimeout(this.#timer);
    this.#deadline = performance.now() + ms;
    this.#timer = setTimeout(() => this.#dispatch({ type: 'time-over' }), ms);
  }
}

/** Tells a device why it cannot pair now, without beginning anything. */
export function turnAway(socket: TLSSocket, reason: RefusalReason): void {
  socket.on('error', () => undefined);
  socket.write(encodeNearby({ type: 'refuse', reason }));
  bidFarewell(socket);
}

/** Lets what was written get out. */
function bidFarewell(socket: TLSSocket): void {
  socket.end();
  // Keep reading, or what is unread makes the kernel send RST, which can overtake the last word.
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(linger));
}
