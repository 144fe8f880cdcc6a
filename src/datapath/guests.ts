/** The guests of a datapath: the control calls about one of them, their ports and flows, and what tunnels bring them. */
import { SojournError } from '../common/index.ts';
import { StreamPort, type Switch } from '../switch/index.ts';
import { unsolicitedAdvertisement } from '../switch/services/index.ts';
import type { DatapathEvent, GuestSettings, Params, Result } from './control.ts';
import { GuestAttachment, type Surroundings } from './guest-attachment.ts';
import { GuestTable } from './guest-table.ts';
import type { InstalledFlows } from './installed-flows.ts';
import { Presence } from './presence.ts';
import { guestFlows } from './program/index.ts';
import { refusal } from './refusal.ts';
import type { SavedState } from './store.ts';
import { type Event, type Marker, type Place, settled } from './switchover-state.ts';
import type { TunnelPort } from './tunnel-port.ts';

/** Well under the router lifetime of 9000 s, so that some may be lost. */
const ADVERTISE_MS = 300_000;

/** What the guests need of the datapath around them. */
export interface GuestsAround {
  readonly owner: Switch;
  readonly flows: InstalledFlows;
  /** Own place id, undefined before the first `configure`. */
  readonly self: string | undefined;
  readonly defaultPeer: string | undefined;
  tunnel(peer: string): TunnelPort | undefined;
  /** The port toward a gateway, if this place has one. */
  readonly gateway: number | undefined;
  nextPort(): number;
  emit(event: DatapathEvent): void;
  /** A guest's port is gone. */
  portClosed(port: number): void;
  /** There are other guests, or they have other addresses. */
  guestsChanged(): void;
  /** What is to be restored has changed. */
  changed(): void;
}

export class Guests {
  readonly table = new GuestTable();
  unknown = 0;
  readonly #around: GuestsAround;
  readonly #presence: Presence;
  readonly #timer: NodeJS.Timeout;
  #indices = 0;

  constructor(around: GuestsAround) {
    this.#around = around;
    this.#presence = new Presence(around.owner);
    this.#timer = setInterval(() => this.#advertise(), ADVERTISE_MS);
  }

  /** What `restore` needs. */
  get saved(): SavedState['guests'] {
    return this.table.all.map((guest) => {
      const { epoch, place } = settled(guest.state);
      return {
        guestId: guest.guestId,
        network: guest.network,
        mac: guest.mac,
        epoch,
        location: place,
        anchor: guest.anchor ?? (this.#around.self as string),
        ...(guest.port !== undefined && {
          port: { socket: guest.port.socketPath, held: guest.gated },
        }),
      };
    });
  }

  async set(settings: GuestSettings): Promise<Record<string, never>> {
    await this.#set(settings, false);
    return {};
  }

  /** As `set`, of a guest that a datapath before this one has had. */
  async restore(settings: GuestSettings): Promise<void> {
    await this.#set(settings, true);
  }

  async remove({ guestId }: Params<'removeGuest'>): Promise<Record<string, never>> {
    const guest = this.table.find(guestId);
    if (guest === undefined) return {};
    const { owner, flows } = this.#around;
    this.table.remove(guest);
    flows.replace(guestId, []);
    guest.close();
    owner.detach(guest.number);
    await this.#closePort(guest);
    this.#around.guestsChanged();
    this.#around.changed();
    return {};
  }

  async releasePort({ guestId }: Params<'releasePort'>): Promise<Record<string, never>> {
    this.table.get(guestId).release();
    this.#around.changed();
    return {};
  }

  async beginSwitchover({
    guestId,
    epoch,
  }: Params<'beginSwitchover'>): Promise<Result<'beginSwitchover'>> {
    const guest = this.table.get(guestId);
    this.#apply(guest, { kind: 'begin', epoch, anchor: guest.anchor });
    return { drained: await this.#presence.drained(guest) };
  }

  async abortSwitchover({ guestId }: Params<'abortSwitchover'>): Promise<Record<string, never>> {
    this.#apply(this.table.get(guestId), { kind: 'abort' });
    return {};
  }

  async commitSwitchover(params: Params<'commitSwitchover'>): Promise<Record<string, never>> {
    const { guestId, epoch, to } = params;
    this.#apply(this.table.get(guestId), { kind: 'commit', epoch, place: this.#placeOf(to) });
    return {};
  }

  async reclaim({ guestId, epoch }: Params<'reclaim'>): Promise<Record<string, never>> {
    this.#apply(this.table.get(guestId), { kind: 'set', epoch, place: { kind: 'local' } });
    return {};
  }

  /** A frame from a guest's port to the gateway. */
  heard(port: number, frame: Buffer): void {
    this.#presence.heard(this.table.ofPort(port), frame);
  }

  onMarker(peer: string, kind: Marker, guestId: string, epoch: number): void {
    const guest = this.table.find(guestId);
    if (guest === undefined) this.unknown++;
    // One that is refused is out of date or a lie; either way nothing is to be done.
    else guest.apply({ kind, from: peer, epoch });
  }

  onForward(peer: string, guestId: string, epoch: number, packet: Buffer): void {
    const guest = this.table.find(guestId);
    if (guest === undefined) this.unknown++;
    else guest.forwarded(peer, epoch, packet);
  }

  /** Compiles all flows anew: tunnels or the configuration have changed. */
  install(): void {
    for (const guest of this.table.all) this.#install(guest);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const guest of this.table.all) {
      guest.close();
      await guest.port?.close();
    }
  }

  async #set(settings: GuestSettings, restored: boolean): Promise<void> {
    const { guestId, network, mac, epoch, location, port } = settings;
    if (this.#around.self === undefined)
      throw new SojournError({
        kind: 'conflict',
        code: 'datapath-unconfigured',
        message: 'The datapath was not configured yet',
      });
    const known = this.table.find(guestId);
    if (known !== undefined && epoch < known.state.epoch) throw refusal('epoch-stale', guestId);
    this.table.requireFree(settings);
    const place = location.kind === 'peer' ? this.#placeOf(location.peer) : location;
    const anchor = this.#anchorOf(settings.anchor);
    const guest = known ?? this.#newGuest(settings, place, anchor);
    if (known !== undefined) {
      this.table.identify(guest, network, mac);
      guest.anchor = anchor;
    }
    guest.socket = port?.socket;
    if (port === undefined || guest.port?.socketPath !== port.socket) await this.#closePort(guest);
    if (port?.held) guest.gated = true;
    if (port !== undefined && guest.port === undefined)
      await this.#openPort(guest, port.socket, restored);
    this.#apply(guest, { kind: 'set', epoch, place });
    if (!port?.held) guest.release();
    this.#around.guestsChanged();
    this.#around.changed();
  }

  #newGuest(settings: GuestSettings, place: Place, anchor: string | undefined): GuestAttachment {
    const { guestId, network, mac, epoch } = settings;
    const number = this.#around.nextPort();
    const index = ++this.#indices;
    const guest = new GuestAttachment(
      { number, index, guestId, network, mac },
      { epoch, place, anchor },
      this.#surroundings,
    );
    this.table.add(guest);
    this.#around.owner.attach(guest);
    return guest;
  }

  get #surroundings(): Surroundings {
    const around = this.#around;
    const { owner, tunnel, emit, changed } = around;
    return {
      get gateway() {
        return around.gateway;
      },
      owner,
      now: () => performance.now(),
      tunnel,
      sendMarker: (peer, marker, guestId, epoch) => {
        tunnel(peer)?.sendMarker(marker, guestId, epoch);
      },
      sendForward: (peer, guestId, epoch, packet) => {
        tunnel(peer)?.sendForward(guestId, epoch, packet);
      },
      flushTunnel: (peer) => tunnel(peer)?.flush(),
      report: (event, guestId) => emit({ event, guestId }),
      changed: (guest) => {
        this.#install(guest);
        changed();
      },
    };
  }

  #install(guest: GuestAttachment): void {
    if (this.table.find(guest.guestId) === guest)
      this.#around.flows.replace(guest.guestId, guestFlows(guest.flows()));
  }

  async #openPort(guest: GuestAttachment, socketPath: string, restored: boolean): Promise<void> {
    const { owner, emit, nextPort } = this.#around;
    const { guestId } = guest;
    const port = new StreamPort(
      {
        number: nextPort(),
        socketPath,
        mtu: guest.mtu,
        owner,
        onConnected: (again) =>
          emit({ event: again ? 'guestPortReconnected' : 'guestPortConnected', guestId }),
        onDisconnected: () => emit({ event: 'guestPortDisconnected', guestId }),
      },
      restored,
    );
    await port.listen();
    guest.port = port;
    this.table.connectPort(port.number, guest);
    owner.attach(port);
  }

  async #closePort(guest: GuestAttachment): Promise<void> {
    const { port } = guest;
    if (port === undefined) return;
    guest.port = undefined;
    this.table.disconnectPort(port.number);
    this.#around.portClosed(port.number);
    this.#around.owner.detach(port.number);
    await port.close();
  }

  #apply(guest: GuestAttachment, event: Event): void {
    const refused = guest.apply(event);
    if (refused !== undefined) throw refusal(refused, guest.guestId);
  }

  #advertise(): void {
    for (const guest of this.table.all) {
      if (guest.port?.connected && !guest.gated && settled(guest.state).place.kind === 'local')
        this.#around.owner.sendFrames(guest.port.number, [unsolicitedAdvertisement(guest.gateway)]);
    }
  }

  #anchorOf(wanted: string | undefined): string | undefined {
    const anchor = wanted ?? this.#around.defaultPeer;
    return anchor === this.#around.self ? undefined : anchor;
  }

  #placeOf(peer: string): Place {
    return peer === this.#around.self ? { kind: 'local' } : { kind: 'peer', peer };
  }
}
