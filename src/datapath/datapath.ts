/** The datapath: switch, ports, tunnels, TAP and guests, put together; its methods are the control calls. */
import { SojournError } from '../common/index.ts';
import { PORT, StreamPort, Switch } from '../switch/index.ts';
import { unsolicitedAdvertisement } from '../switch/services/index.ts';
import { loadIdentity } from '../transport/index.ts';
import type {
  Configuration,
  DatapathEvent,
  GuestSettings,
  Params,
  Problem,
  Result,
} from './control.ts';
import { GuestAttachment, type Surroundings } from './guest-attachment.ts';
import { GuestTable } from './guest-table.ts';
import { gatewayIn } from './home-prefixes.ts';
import { InstalledFlows } from './installed-flows.ts';
import { Presence } from './presence.ts';
import { guestFlows, siteFlows } from './program.ts';
import { refusal } from './refusal.ts';
import { SlowPath } from './slow-path.ts';
import { buildStatus } from './status.ts';
import type { SavedState } from './store.ts';
import { type Event, type Marker, type Place, settled } from './switchover-state.ts';
import { TapAdapter } from './tap-adapter.ts';
import { Tunnels } from './tunnels.ts';

/** Well under the router lifetime of 9000 s, so that some may be lost. */
const ADVERTISE_MS = 300_000;

export interface DatapathOptions {
  /** Private directory for sockets, records and logs. */
  readonly directory: string;
  readonly qemu: string;
  readonly emit: (event: DatapathEvent) => void;
  /** What is to be restored has changed. */
  readonly changed: () => void;
}

export class Datapath {
  readonly #options: DatapathOptions;
  readonly #switch: Switch;
  readonly #flows: InstalledFlows;
  readonly #slowPath: SlowPath;
  readonly #tunnels: Tunnels;
  readonly #guests = new GuestTable();
  readonly #presence: Presence;
  readonly #timer: NodeJS.Timeout;
  #configuration: Configuration | undefined;
  #self: string | undefined;
  #tap: TapAdapter | undefined;
  #ports = 0;
  #indices = 0;
  #problems: Problem[] = [];
  #unknownGuests = 0;

  constructor(options: DatapathOptions) {
    this.#options = options;
    const now = () => performance.now();
    this.#switch = new Switch((event) => this.#slowPath.handle(this.#switch, event));
    this.#flows = new InstalledFlows(this.#switch);
    this.#presence = new Presence(this.#switch);
    const datapath = this;
    this.#slowPath = new SlowPath(
      {
        guestOfPort: (port) => this.#guests.ofPort(port)?.gateway,
        guestOfAddress: (address) => this.#guests.ofAddress(address)?.gateway,
        heard: (port, frame) => this.#presence.heard(this.#guests.ofPort(port), frame),
        get tapPort() {
          return datapath.#tap?.port.number;
        },
        gatewayOf: (address) => gatewayIn(this.#prefixes, address),
      },
      now,
    );
    this.#tunnels = new Tunnels(
      this.#switch,
      () => this.#nextPort(),
      (peer) => ({
        onUp: () => options.emit({ event: 'tunnelUp', peer }),
        onDown: (reason) => options.emit({ event: 'tunnelDown', peer, reason }),
        onMarker: (marker, guestId, epoch) => this.#onMarker(peer, marker, guestId, epoch),
        onForward: (guestId, epoch, packet) => this.#onForward(peer, guestId, epoch, packet),
      }),
    );
    this.#timer = setInterval(() => this.#advertise(), ADVERTISE_MS);
    this.#installSite();
  }

  async configure(wanted: Configuration): Promise<Result<'configure'>> {
    const identity = await loadIdentity(wanted.identityDir);
    if (identity === undefined)
      throw new SojournError({
        kind: 'requirement',
        code: 'identity-missing',
        message: `There is no identity in ${wanted.identityDir}`,
        remedy: 'Start the agent once; it makes one',
      });
    this.#self = identity.id;
    this.#configuration = wanted;
    this.#problems = [];
    try {
      await this.#tunnels.configure(identity, wanted.listen, wanted.peers);
    } catch (error) {
      if (!(error instanceof SojournError)) throw error;
      const { code, message, remedy } = error;
      this.#problems.push({ code, message, ...(remedy !== undefined && { remedy }) });
    }
    await this.#configureTap(wanted.tap);
    for (const guest of this.#guests.all) this.#install(guest);
    this.#installSite();
    this.#options.changed();
    const listening = this.#tunnels.address;
    return {
      place: identity.id,
      ...(listening !== undefined && { listening }),
      problems: [...this.#problems, ...(this.#tap?.problems ?? [])],
    };
  }

  async setGuest(settings: GuestSettings): Promise<Record<string, never>> {
    await this.#setGuest(settings, false);
    return {};
  }

  async removeGuest({ guestId }: Params<'removeGuest'>): Promise<Record<string, never>> {
    const guest = this.#guests.find(guestId);
    if (guest === undefined) return {};
    this.#guests.remove(guest);
    this.#flows.replace(guestId, []);
    guest.close();
    this.#switch.detach(guest.number);
    await this.#closePort(guest);
    this.#installSite();
    this.#options.changed();
    return {};
  }

  async releasePort({ guestId }: Params<'releasePort'>): Promise<Record<string, never>> {
    this.#guests.get(guestId).release();
    this.#options.changed();
    return {};
  }

  async beginSwitchover({
    guestId,
    epoch,
  }: Params<'beginSwitchover'>): Promise<Result<'beginSwitchover'>> {
    const guest = this.#guests.get(guestId);
    this.#apply(guest, { kind: 'begin', epoch, anchor: guest.anchor });
    return { drained: await this.#presence.drained(guest) };
  }

  async abortSwitchover({ guestId }: Params<'abortSwitchover'>): Promise<Record<string, never>> {
    this.#apply(this.#guests.get(guestId), { kind: 'abort' });
    return {};
  }

  async commitSwitchover(params: Params<'commitSwitchover'>): Promise<Record<string, never>> {
    const { guestId, epoch, to } = params;
    this.#apply(this.#guests.get(guestId), { kind: 'commit', epoch, place: this.#placeOf(to) });
    return {};
  }

  async reclaim({ guestId, epoch }: Params<'reclaim'>): Promise<Record<string, never>> {
    this.#apply(this.#guests.get(guestId), { kind: 'set', epoch, place: { kind: 'local' } });
    return {};
  }

  async status(): Promise<Result<'status'>> {
    return buildStatus({
      place: this.#self,
      listening: this.#tunnels.address,
      tap: this.#tap,
      tunnels: this.#tunnels.all,
      guests: this.#guests.all,
      owner: this.#switch,
      flows: this.#flows,
      drops: { rateLimited: this.#slowPath.rateLimited, unknownGuest: this.#unknownGuests },
      problems: this.#problems,
    });
  }

  /** What `restore` needs. */
  get saved(): SavedState {
    const guests = this.#guests.all.map((guest) => {
      const { epoch, place } = settled(guest.state);
      return {
        guestId: guest.guestId,
        network: guest.network,
        mac: guest.mac,
        epoch,
        location: place,
        anchor: guest.anchor ?? (this.#self as string),
        ...(guest.port !== undefined && {
          port: { socket: guest.port.socketPath, held: guest.gated },
        }),
      };
    });
    return {
      version: 1,
      ...(this.#configuration !== undefined && { configuration: this.#configuration }),
      guests,
    };
  }

  /** Goes on where another datapath ended. What fails is a problem in `status`; the agent will say it again. */
  async restore({ configuration, guests }: SavedState): Promise<void> {
    const attempt = async (work: Promise<unknown>) => {
      try {
        await work;
      } catch (error) {
        const { code, message } =
          error instanceof SojournError ? error : { code: 'restore', message: String(error) };
        this.#problems.push({ code, message });
      }
    };
    if (configuration === undefined) return;
    this.#self = (await loadIdentity(configuration.identityDir))?.id;
    this.#configuration = configuration;
    // Guest ports first: a QEMU is waiting behind each.
    const ports = guests.map((guest) => attempt(this.#setGuest(guest, true)));
    await attempt(this.configure(configuration));
    await Promise.all(ports);
  }

  async close(tap: 'keep' | 'remove'): Promise<void> {
    clearInterval(this.#timer);
    for (const guest of this.#guests.all) {
      guest.close();
      await guest.port?.close();
    }
    await this.#tunnels.close();
    await this.#tap?.close(tap === 'remove');
  }

  async #setGuest(settings: GuestSettings, restored: boolean): Promise<void> {
    const { guestId, network, mac, epoch, location, port } = settings;
    if (this.#self === undefined)
      throw new SojournError({
        kind: 'conflict',
        code: 'datapath-unconfigured',
        message: 'The datapath was not configured yet',
      });
    const known = this.#guests.find(guestId);
    if (known !== undefined && epoch < known.state.epoch) throw refusal('epoch-stale', guestId);
    this.#guests.requireFree(settings);
    const place = location.kind === 'peer' ? this.#placeOf(location.peer) : location;
    const anchor = this.#anchorOf(settings.anchor);
    const guest = known ?? this.#newGuest(settings, place, anchor);
    if (known !== undefined) {
      this.#guests.identify(guest, network, mac);
      guest.anchor = anchor;
    }
    guest.socket = port?.socket;
    if (port === undefined || guest.port?.socketPath !== port.socket) await this.#closePort(guest);
    if (port?.held) guest.gated = true;
    if (port !== undefined && guest.port === undefined)
      await this.#openPort(guest, port.socket, restored);
    this.#apply(guest, { kind: 'set', epoch, place });
    if (!port?.held) guest.release();
    this.#installSite();
    this.#options.changed();
  }

  #newGuest(settings: GuestSettings, place: Place, anchor: string | undefined): GuestAttachment {
    const { guestId, network, mac, epoch } = settings;
    const number = this.#nextPort();
    const index = ++this.#indices;
    const guest = new GuestAttachment(
      { number, index, guestId, network, mac },
      { epoch, place, anchor },
      this.#surroundings,
    );
    this.#guests.add(guest);
    this.#switch.attach(guest);
    return guest;
  }

  readonly #surroundings: Surroundings = (() => {
    const datapath = this;
    return {
      get owner() {
        return datapath.#switch;
      },
      now: () => performance.now(),
      tunnel: (peer: string) => this.#tunnels.port(peer),
      sendMarker: (peer: string, marker: Marker, guestId: string, epoch: number) => {
        this.#tunnels.port(peer)?.sendMarker(marker, guestId, epoch);
      },
      sendForward: (peer: string, guestId: string, epoch: number, packet: Buffer) => {
        this.#tunnels.port(peer)?.sendForward(guestId, epoch, packet);
      },
      flushTunnel: (peer: string) => this.#tunnels.port(peer)?.flush(),
      report: (event: 'holdTimeout' | 'markerTimeout' | 'holdOverflow', guestId: string) =>
        this.#options.emit({ event, guestId }),
      changed: (guest: GuestAttachment) => {
        this.#install(guest);
        this.#options.changed();
      },
    };
  })();

  #install(guest: GuestAttachment): void {
    if (this.#guests.find(guest.guestId) === guest)
      this.#flows.replace(guest.guestId, guestFlows(guest.flows()));
  }

  #installSite(): void {
    const tap = this.#tap;
    this.#flows.replace(
      'site',
      siteFlows({
        tunnels: this.#tunnels.all.map(({ port }) => port.number),
        tap:
          tap === undefined
            ? undefined
            : {
                port: tap.port.number,
                prefixes: this.#prefixes,
                gateways: this.#guests.gateways,
              },
      }),
    );
  }

  async #configureTap(settings: Configuration['tap']): Promise<void> {
    if (this.#tap !== undefined && this.#tap.settings.name !== settings?.name) {
      const old = this.#tap;
      this.#tap = undefined;
      this.#switch.detach(old.port.number);
      await old.close(true);
    }
    if (settings === undefined) return;
    if (this.#tap !== undefined) {
      await this.#tap.apply(settings);
      return;
    }
    const { emit, directory, qemu } = this.#options;
    const tap = new TapAdapter({
      directory,
      settings,
      portNumber: this.#nextPort(),
      owner: this.#switch,
      qemu,
      onUp: () => emit({ event: 'tapUp' }),
      onDown: () => emit({ event: 'tapDown' }),
      onProblem: (problem) => emit({ event: 'problem', problem }),
    });
    this.#tap = tap;
    this.#switch.attach(tap.port);
    await tap.start();
  }

  async #openPort(guest: GuestAttachment, socketPath: string, restored: boolean): Promise<void> {
    const { emit } = this.#options;
    const { guestId } = guest;
    const port = new StreamPort(
      {
        number: this.#nextPort(),
        socketPath,
        mtu: guest.mtu,
        owner: this.#switch,
        onConnected: (again) =>
          emit({ event: again ? 'guestPortReconnected' : 'guestPortConnected', guestId }),
        onDisconnected: () => emit({ event: 'guestPortDisconnected', guestId }),
      },
      restored,
    );
    await port.listen();
    guest.port = port;
    this.#guests.connectPort(port.number, guest);
    this.#switch.attach(port);
  }

  async #closePort(guest: GuestAttachment): Promise<void> {
    const { port } = guest;
    if (port === undefined) return;
    guest.port = undefined;
    this.#guests.disconnectPort(port.number);
    this.#slowPath.forget(port.number);
    this.#switch.detach(port.number);
    await port.close();
  }

  #apply(guest: GuestAttachment, event: Event): void {
    const refused = guest.apply(event);
    if (refused !== undefined) throw refusal(refused, guest.guestId);
  }

  #onMarker(peer: string, kind: Marker, guestId: string, epoch: number): void {
    const guest = this.#guests.find(guestId);
    if (guest === undefined) this.#unknownGuests++;
    // One that is refused is out of date or a lie; either way nothing is to be done.
    else guest.apply({ kind, from: peer, epoch });
  }

  #onForward(peer: string, guestId: string, epoch: number, packet: Buffer): void {
    const guest = this.#guests.find(guestId);
    if (guest === undefined) this.#unknownGuests++;
    else guest.forwarded(peer, epoch, packet);
  }

  #advertise(): void {
    for (const guest of this.#guests.all) {
      if (guest.port?.connected && !guest.gated && settled(guest.state).place.kind === 'local')
        this.#switch.sendFrames(guest.port.number, [unsolicitedAdvertisement(guest.gateway)]);
    }
  }

  #anchorOf(wanted: string | undefined): string | undefined {
    const anchor = wanted ?? this.#configuration?.defaultPeer;
    return anchor === this.#self ? undefined : anchor;
  }

  #placeOf(peer: string): Place {
    return peer === this.#self ? { kind: 'local' } : { kind: 'peer', peer };
  }

  get #prefixes(): string[] {
    const { prefixes4 = [], prefixes6 = [] } = this.#tap?.settings ?? {};
    return [...prefixes4, ...prefixes6];
  }

  #nextPort(): number {
    if (this.#ports >= PORT.max) throw new RangeError('port numbers are used up');
    return ++this.#ports;
  }
}
