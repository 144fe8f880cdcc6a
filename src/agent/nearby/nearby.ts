/**
 * Pairing with a device in the same network, while somebody watches: who is there, one attempt at a time, codes that people
 * compare. Only then is a key trusted; of everything else nothing stays.
 */
import { EventEmitter, once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import type { NearbyView, PlaceRef } from '../../api/index.ts';
import { resolveReference } from '../../api/index.ts';
import { asSojournError, errorText, SojournError } from '../../common/index.ts';
import {
  ALPN_NEARBY,
  type ComparisonState,
  dialPlace,
  Encounter,
  type Identity,
  type Listens,
  NearbyListener,
  type PairedPlace,
  type PlaceInfo,
  shortId,
  Tries,
  turnAway,
} from '../../transport/index.ts';
import { Attempt } from './attempt.ts';
import type { Announcement, Discovery, FoundDevice } from './discovery.ts';
import { attemptUnknown, deviceUnknown, notOpen, pairingBusy, tooManyTries } from './failures.ts';

/** Changes that come together are told together, ms. */
const SETTLE_MS = 50;

export interface NearbyOptions {
  readonly identity: Identity;
  readonly place: PlaceInfo;
  /** Where a device that is paired now reaches this place; asked while this is open. */
  readonly listens: () => Listens;
  readonly isPaired: (id: string) => boolean;
  /** People at both devices have compared the codes. */
  readonly pin: (device: PairedPlace, listens: Listens) => PlaceRef;
  /** The first watcher has come: this place shall listen; or the last one has gone. */
  readonly opened: (open: boolean) => Promise<void>;
  readonly discover: (own: Announcement) => Discovery;
  readonly log: Logger;
  /** For people to compare, ms. */
  readonly compareMs?: number;
}

interface Open {
  readonly listener: NearbyListener;
  readonly discovery: Discovery;
}

export class Nearby {
  readonly #options: NearbyOptions;
  readonly #changes = new EventEmitter<{ change: [] }>();
  /** For as long as the agent runs: closing the page does not give an attacker new tries. */
  readonly #tries = new Tries();
  #watchers = 0;
  #open: Promise<Open> | undefined;
  #discovery: Discovery | undefined;
  #attempt: Attempt | undefined;

  constructor(options: NearbyOptions) {
    this.#options = options;
    this.#changes.setMaxListeners(0);
  }

  /** Somebody watches; with the first one it opens and with the last one it closes. */
  get isOpen(): boolean {
    return this.#watchers > 0;
  }

  /** Until the signal is aborted. @throws SojournError `listen-failed` */
  async watch(emit: (view: NearbyView) => void, signal: AbortSignal): Promise<void> {
    this.#watchers += 1;
    try {
      this.#open ??= this.#begin();
      await this.#open;
      while (!signal.aborted) {
        emit(this.#view());
        await once(this.#changes, 'change', { signal }).catch(() => undefined);
        if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      }
    } finally {
      this.#watchers -= 1;
      if (this.#watchers === 0) await this.#end();
    }
  }

  /** @throws SojournError `device-not-nearby`, `pairing-under-way`, `pairing-too-many-tries`, `nearby-not-open` */
  pair(reference: string): void {
    const device = this.#find(reference);
    if (this.#attempt !== undefined && !this.#attempt.isOver) throw pairingBusy();
    const waitMs = this.#tries.waitMs([device.id], performance.now());
    if (waitMs > 0) throw tooManyTries(waitMs);
    const attempt = new Attempt('here', device.id, device.name);
    this.#attempt = attempt;
    this.#changed();
    void this.#dial(attempt, device);
  }

  /** @throws SojournError `attempt-unknown` */
  answer(id: string, answer: 'same' | 'different' | 'cancel'): void {
    const attempt = this.#attempt;
    if (attempt?.id !== id || attempt.isOver) throw attemptUnknown();
    if (answer === 'cancel') {
      if (attempt.encounter === undefined) attempt.failed(youEnded());
      attempt.cancel();
      this.#changed();
      return;
    }
    if (!attempt.isShown) throw attemptUnknown();
    attempt.encounter?.answer(answer === 'same');
  }

  async close(): Promise<void> {
    await this.#end();
  }

  #find(reference: string): FoundDevice {
    if (this.#discovery === undefined) throw notOpen();
    const { devices } = this.#discovery;
    const exact = devices.find(({ id }) => id === reference);
    if (exact !== undefined) return exact;
    let id: string;
    try {
      id = resolveReference('place', reference, devices).id;
    } catch (error) {
      if (error instanceof SojournError && error.code === 'place-ambiguous') throw error;
      throw deviceUnknown();
    }
    return devices.find((device) => device.id === id) as FoundDevice;
  }

  async #begin(): Promise<Open> {
    const { identity, place, opened, discover, log } = this.#options;
    await opened(true);
    const listener = new NearbyListener(identity, (socket, peer) => this.#knock(socket, peer));
    let port: number;
    try {
      port = await listener.listen();
    } catch (error) {
      this.#open = undefined;
      throw asSojournError(error);
    }
    const discovery = discover({ id: identity.id, ...place, port });
    discovery.on('changed', () => this.#changed());
    this.#discovery = discovery;
    log.info({ port }, 'open for devices nearby');
    return { listener, discovery };
  }

  async #end(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    this.#discovery = undefined;
    const attempt = this.#attempt;
    this.#attempt = undefined;
    attempt?.cancel();
    if (open !== undefined) await this.#shut(open, attempt);
    await this.#options.opened(this.isOpen);
  }

  /** Never rejects. */
  async #shut(open: Promise<Open>, attempt: Attempt | undefined): Promise<void> {
    try {
      const { listener, discovery } = await open;
      await attempt?.encounter?.ended;
      await Promise.all([listener.close(), discovery.close()]);
      this.#options.log.info('closed for devices nearby');
    } catch (error) {
      this.#options.log.warn({ reason: errorText(error) }, 'pairing nearby did not end well');
    }
  }

  /** Never rejects. */
  async #dial(attempt: Attempt, { id, targets }: FoundDevice): Promise<void> {
    const { identity } = this.#options;
    const { signal } = attempt.stop;
    let failure: unknown = deviceUnknown();
    for (const { host, port } of targets) {
      try {
        const at = { peer: id, hosts: [host], port };
        const socket = await dialPlace({ identity, ...at, alpn: ALPN_NEARBY, signal });
        if (this.#attempt !== attempt || attempt.isOver) socket.destroy();
        else this.#meet(attempt, 'initiator', socket);
        return;
      } catch (error) {
        failure = error;
        if (signal.aborted) break;
      }
    }
    if (!attempt.isOver) attempt.failed(asSojournError(failure));
    this.#changed();
  }

  /** A stranger has come and proved a key; nobody knows yet whose. */
  #knock(socket: TLSSocket, peer: string): void {
    const { identity } = this.#options;
    if (!this.isOpen || peer === identity.id) {
      turnAway(socket, 'refused');
      return;
    }
    const keys = keysOf(peer, socket);
    if (this.#tries.waitMs(keys, performance.now()) > 0) {
      turnAway(socket, 'too-many-tries');
      return;
    }
    const current = this.#attempt;
    if (current !== undefined && !current.isOver) {
      // Both have chosen one another at once: the attempt of the lesser id goes on.
      const crossed = current.direction === 'here' && current.peer === peer && !current.isShown;
      if (!crossed || identity.id < peer) {
        turnAway(socket, 'busy');
        return;
      }
      this.#attempt = undefined;
      current.cancel();
    }
    const attempt = new Attempt('there', peer, shortId(peer));
    this.#attempt = attempt;
    this.#meet(attempt, 'responder', socket);
  }

  #meet(attempt: Attempt, role: 'initiator' | 'responder', socket: TLSSocket): void {
    const { identity, place, listens, compareMs } = this.#options;
    const keys = keysOf(attempt.peer, socket);
    const met = socket.remoteAddress?.replace(/^::ffff:/, '');
    let shown = false;
    const encounter = new Encounter({
      ...{ socket, role, place, compareMs },
      self: identity.id,
      peer: attempt.peer,
      listens: listens(),
      changed: (state) => {
        attempt.met(state);
        shown ||= state.kind === 'comparing';
        if (state.kind === 'paired') this.#pair(attempt, state, met);
        // One that nobody has seen a code of counts against whoever came, not against whom was called.
        if (state.kind === 'failed' && (shown || role === 'responder'))
          this.#tries.failed(keys, performance.now());
        this.#changed();
      },
    });
    attempt.encounter = encounter;
    this.#changed();
  }

  #pair(
    attempt: Attempt,
    { place, listens }: Extract<ComparisonState, { kind: 'paired' }>,
    met: string | undefined,
  ): void {
    const { pin, log } = this.#options;
    // Where they have met is where it can be reached; what it says of itself may be of another network.
    const hosts = [...new Set([met ?? [], listens?.hosts ?? []].flat())].slice(0, 8);
    const reachable = listens === null ? null : { hosts, port: listens.port };
    try {
      attempt.pairedAs(pin({ id: attempt.peer, ...place }, reachable));
    } catch (error) {
      log.error({ err: error }, 'not pinned');
      attempt.failed(asSojournError(error));
    }
  }

  #view(): NearbyView {
    const { place, isPaired } = this.#options;
    const problem = this.#discovery?.problem;
    return {
      visibleAs: place.name,
      problem:
        problem === undefined
          ? null
          : { code: 'discovery-failed', text: `Devices nearby cannot be looked for: ${problem}` },
      devices: (this.#discovery?.devices ?? []).map(({ id, name, profile }) => ({
        ...{ id, name, profile },
        paired: isPaired(id),
      })),
      attempt: this.#attempt?.view() ?? null,
    };
  }

  #changed(): void {
    this.#changes.emit('change');
  }
}

/** Whom failed attempts are counted of. */
function keysOf(peer: string, socket: TLSSocket): string[] {
  return [peer, socket.remoteAddress ?? 'unknown'];
}

function youEnded(): SojournError {
  return new SojournError({
    kind: 'cancelled',
    code: 'pairing-refused-here',
    message: 'You ended the pairing',
    remedy: 'Begin again at either device',
  });
}
