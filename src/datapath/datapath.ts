/** The datapath: switch, ports, tunnels, TAP and guests, put together; its methods are the control calls. */
import { SojournError } from '../common/index.ts';
import { cidrToBigInt, PORT, StreamPort, Switch } from '../switch/index.ts';
import {
  isPresenceReply,
  presenceRequest,
  unsolicitedAdvertisement,
} from '../switch/services/index.ts';
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
import { InstalledFlows } from './installed-flows.ts';
import { guestFlows, PURPOSE, siteFlows } from './program.ts';
import { SlowPath } from './slow-path.ts';
import type { SavedState } from './store.ts';
import { type Event, type Marker, type Place, settled } from './switchover.ts';
import { TapAdapter } from './tap-adapter.ts';
import { Tunnels } from './tunnels.ts';

/** Longest wait for the guest to have read what was sent to it, milliseconds. */
const DRAIN_MS = 20;
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
  readonly #guests = new Map<string, GuestAttachment>();
  readonly #byPort = new Map<number, GuestAttachment>();
  readonly #byAddress = new Map<string, GuestAttachment>();
  readonly #drains = new Map<string, () => void>();
  readonly #timer: NodeJS.Timeout;
  #configuration: Configuration | undefined;
  #self: string | undefined;
  #tap: TapAdapter | undefined;
  #ports = 0;
  #indices = 0;
  #problems: Problem[] = [];
  #unknownPeerGuests = 0;

  constructor(options: DatapathOptions) {
    this.#options = options;
    const now = () => performance.now();
    this.#switch = new Switch((event) => this.#slowPath.handle(this.#switch, event));
    this.#flows = new InstalledFlows(this.#switch);
    const datapath = this;
    this.#slowPath = new SlowPath(
      {
        guestOfPort: (port) => this.#byPort.get(port)?.gateway,
        guestOfAddress: (address) => this.#guestOfAddress(address)?.gateway,
        heard: (port, frame) => this.#heard(port, frame),
        get tapPort() {
          return datapath.#tap?.port.number;
        },
        gatewayOf: (address) => this.#gatewayOf(address),
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
    for (const guest of this.#guests.values()) this.#install(guest);
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
    const guest = this.#guests.get(guestId);
    if (guest === undefined) return {};
    this.#guests.delete(guestId);
    this.#forgetAddresses(guest);
    this.#flows.replace(guestId, []);
    guest.close();
    this.#switch.detach(guest.number);
    await this.#closePort(guest);
    this.#installSite();
    this.#options.changed();
    return {};
  }

  async releasePort({ guestId }: Params<'releasePort'>): Promise<Record<string, never>> {
    this.#guest(guestId).release();
    this.#options.changed();
    return {};
  }

  async beginSwitchover({
    guestId,
    epoch,
  }: Params<'beginSwitchover'>): Promise<Result<'beginSwitchover'>> {
    const guest = this.#guest(guestId);
    this.#apply(guest, { kind: 'begin', epoch, anchor: guest.anchor });
    return { drained: await this.#drain(guest) };
  }

  async abortSwitchover({ guestId }: Params<'abortSwitchover'>): Promise<Record<string, never>> {
    this.#apply(this.#guest(guestId), { kind: 'abort' });
    return {};
  }

  async commitSwitchover(params: Params<'commitSwitchover'>): Promise<Record<string, never>> {
    const { guestId, epoch, to } = params;
    this.#apply(this.#guest(guestId), { kind: 'commit', epoch, place: this.#placeOf(to) });
    return {};
  }

  async reclaim({ guestId, epoch }: Params<'reclaim'>): Promise<Record<string, never>> {
    this.#apply(this.#guest(guestId), { kind: 'set', epoch, place: { kind: 'local' } });
    return {};
  }

  async status(): Promise<Result<'status'>> {
    const tap = this.#tap;
    const { drops } = this.#switch;
    const listening = this.#tunnels.address;
    return {
      pid: process.pid,
      ...(this.#self !== undefined && { place: this.#self }),
      ...(listening !== undefined && { listening }),
      ...(tap !== undefined && {
        tap: {
          name: tap.settings.name,
          connected: tap.port.connected,
          ...(tap.pid !== undefined && { adapterPid: tap.pid }),
          counters: { ...tap.port.counters },
        },
      }),
      tunnels: this.#tunnels.all.map(({ port, lastError }) => ({
        peer: port.peer,
        connected: port.connected,
        ...(port.rttMs !== undefined && { rttMs: port.rttMs }),
        counters: { ...port.counters },
        ...(port.window !== undefined && { window: port.window }),
        ...(lastError !== undefined && !port.connected && { lastError }),
      })),
      guests: [...this.#guests.values()].map((guest) => {
        const { epoch, place } = settled(guest.state);
        const { port } = guest;
        return {
          guestId: guest.guestId,
          epoch,
          location: place,
          state: guest.state.kind,
          held: guest.heldPackets,
          ...(port !== undefined && {
            port: {
              socket: port.socketPath,
              connected: port.connected,
              connections: port.connections,
              held: guest.gated,
              counters: { ...port.counters },
            },
          }),
        };
      }),
      drops: {
        ...drops,
        spoofed: this.#flows.packets(PURPOSE.spoofed),
        ignored: this.#flows.packets(PURPOSE.ignored),
        unreachable: this.#flows.packets(PURPOSE.unreachable),
        rateLimited: this.#slowPath.rateLimited,
        unknownGuest: this.#unknownPeerGuests,
      },
      cache: {
        hits: this.#switch.cacheHits,
        misses: this.#switch.cacheMisses,
        flows: this.#flows.size,
      },
      problems: [...this.#problems, ...(tap?.problems ?? [])],
    };
  }

  /** What `restore` needs. */
  get saved(): SavedState {
    const guests = [...this.#guests.values()].map((guest) => {
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
    for (const guest of this.#guests.values()) {
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
    const known = this.#guests.get(guestId);
    if (known !== undefined && epoch < known.state.epoch) throw refusal('epoch-stale', guestId);
    const place = location.kind === 'peer' ? this.#placeOf(location.peer) : location;
    const anchor = this.#anchorOf(settings.anchor);
    const guest = known ?? this.#newGuest(settings, place, anchor);
    if (known !== undefined) {
      this.#forgetAddresses(guest);
      guest.identify(network, mac);
      guest.anchor = anchor;
      this.#rememberAddresses(guest);
    }
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
    this.#guests.set(guestId, guest);
    this.#rememberAddresses(guest);
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
    if (this.#guests.get(guest.guestId) === guest)
      this.#flows.replace(guest.guestId, guestFlows(guest.flows()));
  }

  #installSite(): void {
    const tap = this.#tap;
    const gateways = new Set<bigint>();
    for (const { gateway } of this.#guests.values()) {
      gateways.add(BigInt(`0x${gateway.gateway4.toString('hex')}`));
      gateways.add(BigInt(`0x${gateway.gateway6.toString('hex')}`));
    }
    const { prefixes4 = [], prefixes6 = [] } = tap?.settings ?? {};
    this.#flows.replace(
      'site',
      siteFlows({
        tunnels: this.#tunnels.all.map(({ port }) => port.number),
        tap:
          tap === undefined
            ? undefined
            : {
                port: tap.port.number,
                prefixes: [...prefixes4, ...prefixes6],
                gateways: [...gateways],
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
    this.#byPort.set(port.number, guest);
    this.#switch.attach(port);
  }

  async #closePort(guest: GuestAttachment): Promise<void> {
    const { port } = guest;
    if (port === undefined) return;
    guest.port = undefined;
    this.#byPort.delete(port.number);
    this.#slowPath.forget(port.number);
    this.#switch.detach(port.number);
    await port.close();
  }

  #apply(guest: GuestAttachment, event: Event): void {
    const refused = guest.apply(event);
    if (refused !== undefined) throw refusal(refused, guest.guestId);
  }

  /** Waits until the guest has read what was sent to it: it answers what is sent last. */
  async #drain(guest: GuestAttachment): Promise<boolean> {
    const { port, guestId } = guest;
    if (port === undefined || !port.connected || guest.gated) return false;
    return await new Promise<boolean>((resolve) => {
      const finish = (drained: boolean) => {
        clearTimeout(timer);
        this.#drains.delete(guestId);
        resolve(drained);
      };
      const timer = setTimeout(() => finish(false), DRAIN_MS);
      this.#drains.set(guestId, () => finish(true));
      this.#switch.sendFrames(port.number, [presenceRequest(guest.gateway)]);
    });
  }

  #heard(port: number, frame: Buffer): void {
    if (this.#drains.size === 0) return;
    const guest = this.#byPort.get(port);
    if (guest !== undefined && isPresenceReply(frame, guest.gateway))
      this.#drains.get(guest.guestId)?.();
  }

  #onMarker(peer: string, kind: Marker, guestId: string, epoch: number): void {
    const guest = this.#guests.get(guestId);
    if (guest === undefined) this.#unknownPeerGuests++;
    // One that is refused is out of date or a lie; either way nothing is to be done.
    else guest.apply({ kind, from: peer, epoch });
  }

  #onForward(peer: string, guestId: string, epoch: number, packet: Buffer): void {
    const guest = this.#guests.get(guestId);
    if (guest === undefined) this.#unknownPeerGuests++;
    else guest.forwarded(peer, epoch, packet);
  }

  #advertise(): void {
    for (const guest of this.#guests.values()) {
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

  #guest(guestId: string): GuestAttachment {
    const guest = this.#guests.get(guestId);
    if (guest === undefined)
      throw new SojournError({
        kind: 'not-found',
        code: 'datapath-guest-unknown',
        message: `The datapath does not know the guest ${guestId}`,
      });
    return guest;
  }

  #guestOfAddress(address: Buffer): GuestAttachment | undefined {
    const key = address.length === 16 ? address.subarray(0, 8) : address;
    return this.#byAddress.get(key.toString('hex'));
  }

  #rememberAddresses(guest: GuestAttachment): void {
    this.#byAddress.set(guest.gateway.hoa4.toString('hex'), guest);
    this.#byAddress.set(guest.gateway.prefix6.toString('hex'), guest);
  }

  #forgetAddresses(guest: GuestAttachment): void {
    this.#byAddress.delete(guest.gateway.hoa4.toString('hex'));
    this.#byAddress.delete(guest.gateway.prefix6.toString('hex'));
  }

  /** The first address of the anchored prefix that an address is in. */
  #gatewayOf(address: Buffer): Buffer | undefined {
    const { prefixes4 = [], prefixes6 = [] } = this.#tap?.settings ?? {};
    const value = BigInt(`0x${address.toString('hex')}`);
    for (const cidr of address.length === 4 ? prefixes4 : prefixes6) {
      const { value: base, length, bits } = cidrToBigInt(cidr);
      const rest = BigInt(bits - length);
      if (value >> rest !== base >> rest) continue;
      return Buffer.from((base + 1n).toString(16).padStart(bits / 4, '0'), 'hex');
    }
    return undefined;
  }

  #nextPort(): number {
    if (this.#ports >= PORT.max) throw new RangeError('port numbers are used up');
    return ++this.#ports;
  }
}

function refusal(code: string, guestId: string): SojournError {
  const why: Readonly<Record<string, string>> = {
    'epoch-stale': 'the epoch is out of date, so the guest has moved since',
    'guest-not-here': 'the guest does not run here',
    'switchover-under-way': 'a switchover is under way',
    'not-held': 'no switchover was begun, or it has timed out',
  };
  return new SojournError({
    kind: 'conflict',
    code,
    message: `The datapath refuses to change the mapping of guest ${guestId}: ${why[code] ?? code}`,
  });
}
