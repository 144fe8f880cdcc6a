/**
 * The controller: gateways connect to it over OpenFlow, and it keeps in each the flows of the guests that the gateway deals with.
 *
 * Gateways carry on by themselves without it. When one connects, its flows are read and only what differs is changed. What is
 * decided (which flows, in which order) is in `../flows`; here is who is told when.
 */
import type { Duplex } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { asSojournError, SojournError } from '../../common/index.ts';
import {
  type Clock,
  type KeepalivePolicy,
  type PacketInMessage,
  steadyClock,
} from '../../openflow/index.ts';
import {
  formatTarget,
  Listener,
  type ListenTarget,
  type TlsFiles,
} from '../../switch/agent/index.ts';
import {
  type Attachment,
  type Mapping,
  type Network,
  PURPOSE,
  readCookie,
  type Way,
} from '../flows/index.ts';
import { Connected } from './connected.ts';
import { Domain } from './domain.ts';
import type { ChangeReport, ControllerEvent } from './events.ts';
import { GatewayLink } from './gateway-link.ts';
import { leaving, MappingChanges } from './mapping-changes.ts';
import { answerMiss } from './misses.ts';
import type { GatewayServices } from './services.ts';
import { Turns } from './turns.ts';

/** How long the place that a guest left sends on what still comes there, ms. */
const LINGER_MS = 10_000;
/** A connection says which gateway it is within this time, ms. */
const IDENTIFY_MS = 10_000;
/** Gateways whose flows are read and compared at once: thousands of flows each, while others wait for their echo. */
const REPAIRS_AT_ONCE = 4;
/** Connections beyond two for each gateway: of those that are none. */
const SPARE_CONNECTIONS = 64;

export interface ControllerOptions {
  readonly network: Network;
  readonly mappings: readonly Mapping[];
  /** `push` when left out. */
  readonly way?: Way;
  readonly services?: GatewayServices;
  /** For `pssl`. */
  readonly tls?: TlsFiles;
  readonly clock?: Clock;
  readonly keepalive?: KeepalivePolicy;
  /** Of the claim to be master; higher than that of any controller before. The time when left out. */
  readonly generation?: bigint;
  readonly lingerMs?: number;
  readonly onEvent?: (event: ControllerEvent) => void;
}

export class Controller {
  readonly #options: ControllerOptions;
  readonly #clock: Clock;
  readonly #generation: bigint;
  readonly #links = new Set<GatewayLink>();
  readonly #connected = new Map<string, Connected>();
  readonly #listeners: Listener[] = [];
  readonly #changes: MappingChanges;
  readonly #repairs = new Turns(REPAIRS_AT_ONCE);

  /** @throws SojournError when gateways and mappings do not fit together. */
  constructor(options: ControllerOptions) {
    const { network, mappings, way = 'push', services, clock = steadyClock } = options;
    this.#options = options;
    this.#clock = clock;
    this.#generation = options.generation ?? BigInt(Date.now());
    this.#changes = new MappingChanges({
      domain: new Domain({ network, mappings, way, ...(services && { services }) }),
      clock,
      lingerMs: options.lingerMs ?? LINGER_MS,
      connected: (gateway) => this.#connected.get(gateway),
      moved: ({ guest, place }, report) => this.#tell({ type: 'moved', guest, place, report }),
    });
  }

  /** @throws SojournError `openflow-listen`. */
  async listen(target: ListenTarget): Promise<void> {
    const connected = (stream: Duplex) => this.accept(stream, formatTarget(target));
    const most = 2 * this.#domain.gateways.size + SPARE_CONNECTIONS;
    this.#listeners.push(await Listener.open(target, this.#options.tls, connected, most));
  }

  /** Takes a connection to a gateway, whoever opened it. */
  accept(stream: Duplex, peer: string): void {
    let connected: Connected | undefined;
    const { keepalive } = this.#options;
    const link: GatewayLink = new GatewayLink({
      stream,
      clock: this.#clock,
      ...(keepalive !== undefined && { keepalive }),
      generation: this.#generation,
      packetIn: (message) => connected && this.#packetIn(connected, message),
      complaint: (text) => {
        const gateway = connected?.gateway.id;
        if (gateway !== undefined) this.#tell({ type: 'complaint', gateway, text });
      },
      closed: (reason) => {
        this.#links.delete(link);
        connected?.end();
        const gateway = connected?.gateway.id;
        if (gateway !== undefined && this.#connected.get(gateway) === connected)
          this.#connected.delete(gateway);
        this.#tell({ type: 'lost', gateway, peer, reason });
      },
    });
    this.#links.add(link);
    this.#greet(link, peer, (one) => {
      connected = one;
    }).catch((error: unknown) => {
      if (!this.#links.has(link)) return;
      const reason = asSojournError(error);
      this.#tell({ type: 'failed', gateway: connected?.gateway.id ?? peer, reason });
      link.close();
    });
  }

  /** Every mapping as it is now. */
  mappings(): Mapping[] {
    return [...this.#domain.mappings];
  }

  /** The mapping of a guest as it is now. @throws SojournError `guest-unknown` */
  mapping(guest: string): Mapping {
    return this.#domain.named(guest);
  }

  /** Ids of gateways that are connected and have what they should. */
  ready(): string[] {
    return [...this.#connected.values()]
      .filter(({ repairing }) => repairing === undefined)
      .map(({ gateway }) => gateway.id);
  }

  /**
   * A guest runs at another place now. Resolves when every gateway that is concerned has answered the last barrier, is known to be
   * away, or has not answered in time. Packets that still come to the old place are sent on for a while.
   * @param attachment the guest's port and addresses there, when its mapping does not have them.
   * @throws SojournError `guest-unknown`, or as `checkMapping`; then nothing is changed.
   */
  async move(guest: string, place: string, attachment?: Attachment): Promise<ChangeReport> {
    const { number } = this.#domain.named(guest);
    const report = await this.#changes.change(number, () => {
      const before = this.#domain.named(guest);
      const places = attachment ? { ...before.places, [place]: attachment } : before.places;
      if (before.place === place) return { ...before, places };
      const { next, ...rest } = before;
      const further = next !== undefined && next !== place && { next };
      return { ...rest, ...further, places, place, from: before.place };
    });
    this.#tell({ type: 'moved', guest, place, report });
    return report;
  }

  /** Adds a mapping, or changes the one with its number. @throws SojournError as `checkMapping`. */
  put(mapping: Mapping): Promise<ChangeReport> {
    return this.#changes.change(mapping.number, () => mapping);
  }

  /** A guest is no more. @throws SojournError `guest-unknown` */
  async remove(guest: string): Promise<ChangeReport> {
    return this.#changes.change(this.#domain.named(guest).number, () => undefined);
  }

  /**
   * Other gateways and mappings in the place of all. Resolves when the gateways that are connected have what they should. Need not be
   * waited for: the newest call counts.
   * @throws SojournError when these do not fit together; then nothing is changed.
   */
  async replace(network: Network, mappings: readonly Mapping[]): Promise<void> {
    const before = this.#domain;
    const { services } = this.#options;
    const next = new Domain({
      network,
      mappings: mappings.map((mapping) => leaving(before.find(mapping.number), mapping)),
      way: before.way,
      ...(services && { services }),
    });
    if (isDeepStrictEqual(before.network, network)) await this.#changes.follow(mappings);
    else await this.#replaceNetwork(next, mappings);
  }

  /** Ends connections and listeners; the flows stay. */
  async close(): Promise<void> {
    this.#changes.stop();
    const closed = this.#listeners.map((listener) => listener.close());
    for (const link of [...this.#links]) link.close();
    await Promise.all(closed);
  }

  get #domain(): Domain {
    return this.#changes.domain;
  }

  async #greet(link: GatewayLink, peer: string, known: (one: Connected) => void): Promise<void> {
    const stopTimer = this.#clock.after(IDENTIFY_MS, () => link.close());
    const datapathId = await link.identify().finally(stopTimer);
    const gateway = this.#domain.gatewayOf(datapathId);
    if (gateway === undefined) throw unknownGateway(datapathId);
    await link.takeOver();
    const { id } = gateway;
    const connected: Connected = new Connected({
      gateway,
      peer,
      link,
      clock: this.#clock,
      turns: this.#repairs,
      found: (flows) => this.#domain.adopt(gateway, flows),
      desired: () => this.#domain.desired(gateway),
      repaired: (repair) =>
        this.#tell({ type: 'repaired', gateway: id, bundles: link.bundles, ...repair }),
      failed: (reason) => this.#tell({ type: 'failed', gateway: id, reason }),
    });
    known(connected);
    // A switch that lost its connection can be back before the loss is noticed here.
    this.#connected.get(id)?.link.close();
    this.#connected.set(id, connected);
    this.#tell({ type: 'connected', gateway: id, peer });
    await connected.repair();
  }

  #packetIn(connected: Connected, message: PacketInMessage): void {
    const { services } = this.#options;
    const { gateway, link } = connected;
    const cookie = readCookie(message.cookie);
    if (cookie?.purpose === PURPOSE.miss)
      answerMiss(this.#domain, connected, message, this.#clock.now()).catch((error: unknown) => {
        this.#tell({ type: 'failed', gateway: gateway.id, reason: asSojournError(error) });
        connected.repairLater();
      });
    else if (cookie?.purpose === PURPOSE.service && services?.packetIn !== undefined) {
      try {
        const guest = this.#domain.find(cookie.number);
        services.packetIn(gateway, guest, message, (out) => link.packetOut(out));
      } catch (error) {
        this.#tell({ type: 'failed', gateway: gateway.id, reason: asSojournError(error) });
      }
    }
  }

  async #replaceNetwork(next: Domain, mappings: readonly Mapping[]): Promise<void> {
    this.#changes.replace(next, mappings);
    const repairs = [...this.#connected.values()].map(async (connected) => {
      connected.changed();
      // A gateway stays what it was when it connected.
      if (isDeepStrictEqual(next.gateways.get(connected.gateway.id), connected.gateway))
        await connected.repair();
      else connected.link.close();
    });
    await Promise.all(repairs);
  }

  #tell(event: ControllerEvent): void {
    this.#options.onEvent?.(event);
  }
}

function unknownGateway(datapathId: bigint): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'gateway-unknown',
    message: `A switch with the datapath id ${datapathId.toString(16).padStart(16, '0')} connected, which is no gateway`,
    remedy: 'Add it to the gateways file, or let it have another controller',
  });
}
