/**
 * The registry of home addresses as the other parts of the agent see it: here on the site that anchors an
 * address, or over a session with that site. Ownership never waits for it.
 */
import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { errorText, SojournError } from '../../common/index.ts';
import type { GuestNetwork } from '../../guest/spec.ts';
import type { HomeRecord, Registry } from '../../mobility/index.ts';
import type { Session } from '../../transport/index.ts';
import { peerCalls, QUESTION_MS } from '../places/peer-messages.ts';
import type { Places } from '../places/places.ts';

export interface RegistryServiceOptions {
  /** Undefined where no home addresses are anchored. */
  readonly registry: Registry | undefined;
  readonly places: () => Places;
  readonly log: Logger;
  /** A guest anchored here has another place or epoch: the mapping has to follow. */
  readonly moved: (record: HomeRecord) => void;
  /** A guest of another place has given its addresses back: the mapping has to go. */
  readonly freed: (guestId: string) => void;
}

/** Where a guest may be next, and its epoch there. */
export interface Expectation {
  readonly place: string;
  readonly epoch: number;
}

export class RegistryService {
  /** Emits `change` whenever `list` or `expected` may say something else. */
  readonly changes = new EventEmitter<{ change: [] }>();
  readonly #options: RegistryServiceOptions;
  /** What still has to be told to a home site, by guest; the newest epoch wins. */
  readonly #untold = new Map<string, { home: string; place: string; epoch: number }>();
  /**
   * Where guests anchored here may be next, by the word of the place that has them: so a new place can tell of a guest whose old
   * one has just lost its network.
   */
  readonly #expected = new Map<string, Expectation>();

  constructor(options: RegistryServiceOptions) {
    this.#options = options;
    this.changes.setMaxListeners(0);
  }

  get anchorsHere(): boolean {
    return this.#options.registry !== undefined;
  }

  list(): HomeRecord[] {
    return this.#options.registry?.list() ?? [];
  }

  /** Where a guest anchored here may be next; undefined when nobody has said so, or when it has been said of the past. */
  expected({ guestId, place, epoch }: HomeRecord): Expectation | undefined {
    const expected = this.#expected.get(guestId);
    return expected !== undefined && expected.epoch > epoch && expected.place !== place
      ? expected
      : undefined;
  }

  /** @throws SojournError `no-home-addresses` */
  requireAnchor(): Registry {
    const { registry, places } = this.#options;
    if (registry !== undefined) return registry;
    throw new SojournError({
      kind: 'requirement',
      code: 'no-home-addresses',
      message: `${places().self.name} anchors no home addresses`,
      remedy: 'Start its agent with --profile site, --hoa4, --hoa6 and --tap',
    });
  }

  /** The site that gives a new guest of this place its home: this place, or the first site it is paired with. */
  chooseHome(): string {
    const places = this.#options.places();
    if (this.anchorsHere) return places.self.id;
    const sites = places.all().filter(({ profile }) => profile === 'site');
    const site = sites.find(({ id }) => places.session(id)?.state === 'connected') ?? sites[0];
    if (site !== undefined) return site.id;
    throw new SojournError({
      kind: 'requirement',
      code: 'no-home-site',
      message: 'A guest needs a site that anchors its permanent address, and none is paired',
      remedy:
        'Run "sojourn invite" at a site and "sojourn pair" here; a site needs --hoa4 and --hoa6',
    });
  }

  /** @throws SojournError `home-addresses-used-up`, `peer-unreachable`, ... */
  async allocate(
    home: string,
    guest: { guestId: string; guestName: string; mac: string },
  ): Promise<GuestNetwork> {
    const { registry, places } = this.#options;
    if (home === places().self.id && registry !== undefined) {
      const network = registry.allocate({ ...guest, place: home, at: new Date() });
      this.changes.emit('change');
      return network;
    }
    const session = await places().connected(home);
    const { network } = await peerCalls.call(session, 'registry.allocate', guest, {
      timeoutMs: QUESTION_MS,
    });
    return network;
  }

  /** @throws SojournError `peer-unreachable`, `guest-not-yours` */
  async free(home: string, guestId: string): Promise<void> {
    const { registry, places } = this.#options;
    if (home === places().self.id) {
      registry?.free(guestId, home);
      this.#expected.delete(guestId);
      this.changes.emit('change');
      return;
    }
    const session = await places().connected(home);
    await peerCalls.call(session, 'registry.free', { guestId }, { timeoutMs: QUESTION_MS });
  }

  /** Takes note that the guest is at `place`, or tells its home so, as soon as that can be reached. Never fails. */
  locate(home: string, guestId: string, place: string, epoch: number): void {
    const { registry, places } = this.#options;
    if (home === places().self.id) {
      this.#expected.delete(guestId);
      const record = registry?.locate(guestId, place, epoch, new Date());
      if (record !== undefined) this.#moved(record);
      return;
    }
    const known = this.#untold.get(guestId);
    if (known === undefined || known.epoch < epoch)
      this.#untold.set(guestId, { home, place, epoch });
    void this.tell(home);
  }

  /**
   * Tells the home that the guest may go to `place`, so that it believes that place at once. Never fails: without it the home
   * waits for this place's word.
   */
  async expect(home: string, guestId: string, place: string, epoch: number): Promise<void> {
    const { places, log } = this.#options;
    if (home === places().self.id) {
      if (this.#options.registry?.find(guestId)?.place === home)
        this.#expect(guestId, { place, epoch });
      return;
    }
    const session = places().session(home);
    if (session?.state !== 'connected') return;
    try {
      const params = { guestId, place, epoch };
      await peerCalls.call(session, 'registry.expect', params, { timeoutMs: QUESTION_MS });
    } catch (error) {
      log.warn({ guestId, home, reason: errorText(error) }, 'home not told where a guest may go');
    }
  }

  /** A session with the home is up: what it does not know yet is told. */
  async tell(home: string): Promise<void> {
    const session = this.#options.places().session(home);
    if (session?.state !== 'connected') return;
    for (const [guestId, report] of this.#untold) {
      if (report.home !== home) continue;
      try {
        const { place, epoch } = report;
        const params = { guestId, place, epoch };
        await peerCalls.call(session, 'registry.locate', params, { timeoutMs: QUESTION_MS });
        if (this.#untold.get(guestId) === report) this.#untold.delete(guestId);
      } catch (error) {
        this.#options.log.warn({ guestId, home, reason: errorText(error) }, 'home not told');
      }
    }
  }

  /** Where a guest is by its home's knowledge; undefined when that cannot be asked. */
  async find(
    home: string,
    guestId: string,
    timeoutMs: number,
  ): Promise<{ place: string; placeName: string; epoch: number } | undefined> {
    const { registry, places } = this.#options;
    if (home === places().self.id) {
      const record = registry?.find(guestId);
      return record && { ...record, placeName: places().ref(record.place).name };
    }
    const session = places().session(home);
    if (session?.state !== 'connected') return undefined;
    const { record } = await peerCalls.call(session, 'registry.find', { guestId }, { timeoutMs });
    return record ?? undefined;
  }

  /** Answers the registry's calls on a session. */
  register(session: Session): void {
    const { places } = this.#options;
    const required = () => this.requireAnchor();
    const toWire = (record: HomeRecord | undefined) =>
      record === undefined ? null : { ...record, placeName: places().ref(record.place).name };
    peerCalls.handle(session, 'registry.allocate', async (guest) => {
      const request = { ...guest, place: session.peer, at: new Date() };
      const network = required().allocate(request);
      const record = required().find(guest.guestId);
      if (record !== undefined) this.#moved(record);
      return { network };
    });
    peerCalls.handle(session, 'registry.free', async ({ guestId }) => {
      required().free(guestId, session.peer);
      this.#expected.delete(guestId);
      this.#options.freed(guestId);
      this.changes.emit('change');
      return {};
    });
    peerCalls.handle(session, 'registry.find', async ({ guestId }) => ({
      record: toWire(required().find(guestId)),
    }));
    peerCalls.handle(session, 'registry.expect', async ({ guestId, place, epoch }) => {
      const known = required().find(guestId);
      if (known?.place !== session.peer) throw notTheirs(places().ref(session.peer).name);
      this.#expect(guestId, { place, epoch });
      return {};
    });
    peerCalls.handle(session, 'registry.locate', async ({ guestId, place, epoch }) => {
      const known = required().find(guestId);
      const expected = this.#expected.get(guestId);
      const comes = place === session.peer && expected?.place === place && expected.epoch === epoch;
      if (known !== undefined && known.epoch < epoch && known.place !== session.peer && !comes)
        throw notTheirs(places().ref(session.peer).name);
      // It has come; or who has it speaks again: what it expected has not happened.
      this.#expected.delete(guestId);
      const record = required().locate(guestId, place, epoch, new Date());
      if (record !== undefined) this.#moved(record);
      return { record: toWire(record) };
    });
  }

  #moved(record: HomeRecord): void {
    this.#options.moved(record);
    this.changes.emit('change');
  }

  /** One a guest of the registry, which has its own limit. */
  #expect(guestId: string, expectation: Expectation): void {
    this.#expected.set(guestId, expectation);
    this.changes.emit('change');
  }
}

function notTheirs(peer: string): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'guest-not-yours',
    message: `${peer} does not have that guest`,
    remedy: 'Only the place that has a guest can say where it goes',
  });
}
