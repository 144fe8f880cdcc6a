/**
 * Who else in this network wants to pair just now: multicast DNS (RFC 6762, RFC 6763), only while somebody here wants to. What is
 * heard is a stranger's word: bounded, text and nothing else, and no more than a hint where to dial. Whom one meets there, TLS
 * proves and people compare.
 */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { Bonjour, type Browser, type Service } from 'bonjour-service';
import type { Logger } from 'pino';
import { z } from 'zod';
import { errorText, plainText } from '../../common/index.ts';
import { placeId } from '../../guest/spec.ts';

const SERVICE = 'sojourn-pair';
const VERSION = '1';
/** Devices shown; those that come later are not. */
export const MAX_DEVICES = 32;
/** Announcements that the library keeps, of devices and of nonsense; beyond it begins anew. */
const MAX_SERVICES = 128;
/** Places where one device may be dialled. */
const MAX_TARGETS = 4;
/** Of this machine. */
const MAX_INTERFACES = 8;
/** Questions are asked again after this, ms, each time twice as late up to the maximum. */
const ASK_MS = 1_000;
const ASK_MAX_MS = 15_000;

const announcement = z.object({
  v: z.literal(VERSION),
  id: placeId,
  n: z.string().min(1).max(64).transform(plainText),
  p: z.enum(['device', 'site']),
});

export interface Announcement {
  /** Place id of this device. */
  readonly id: string;
  readonly name: string;
  readonly profile: 'device' | 'site';
  /** Where it listens for those that want to pair. */
  readonly port: number;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface FoundDevice {
  readonly id: string;
  readonly name: string;
  readonly profile: 'device' | 'site';
  /** The newest first. */
  readonly targets: readonly Target[];
}

export interface Discovery extends EventEmitter<{ changed: [] }> {
  readonly devices: readonly FoundDevice[];
  /** Why nobody can be found; undefined while it works. */
  readonly problem: string | undefined;
  close(): Promise<void>;
}

export class MulticastDiscovery extends EventEmitter<{ changed: [] }> implements Discovery {
  readonly #own: Announcement;
  readonly #log: Logger;
  /** By interface address. */
  readonly #voices = new Map<string, Voice>();
  /** By the name of the service. */
  readonly #heard = new Map<string, FoundDevice>();
  #timer: NodeJS.Timeout | undefined;
  #problem: string | undefined;

  constructor(own: Announcement, log: Logger) {
    super();
    this.#own = own;
    this.#log = log;
    this.#look(ASK_MS);
  }

  get devices(): readonly FoundDevice[] {
    const byId = new Map<string, FoundDevice>();
    for (const device of [...this.#heard.values()].reverse()) {
      const known = byId.get(device.id);
      const targets = [...(known?.targets ?? []), ...device.targets];
      byId.set(device.id, { ...device, ...known, targets: targets.slice(0, MAX_TARGETS) });
    }
    return [...byId.values()].sort((one, other) => one.name.localeCompare(other.name));
  }

  get problem(): string | undefined {
    return this.#voices.size === 0 ? (this.#problem ?? 'this device is in no network') : undefined;
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all([...this.#voices.values()].map((voice) => voice.close()));
    this.#voices.clear();
  }

  /** Asks, and follows the networks of this machine as they come and go. */
  #look(againMs: number): void {
    const addresses = localAddresses();
    for (const [address, voice] of this.#voices) {
      if (addresses.includes(address)) voice.ask();
      else this.#drop(address);
    }
    for (const address of addresses) {
      if (this.#voices.has(address)) continue;
      const voice = new Voice(address, this.#own, {
        up: (service) => this.#up(service),
        down: (name) => this.#down(name),
        failed: (error) => {
          this.#log.warn({ address, reason: errorText(error) }, 'no multicast DNS');
          this.#problem = errorText(error);
          this.#drop(address);
        },
      });
      this.#voices.set(address, voice);
    }
    const next = Math.min(2 * againMs, ASK_MAX_MS);
    this.#timer = setTimeout(() => this.#look(next), againMs);
  }

  #drop(address: string): void {
    const voice = this.#voices.get(address);
    this.#voices.delete(address);
    void voice?.close();
    this.emit('changed');
  }

  #up(service: Service): void {
    const device = deviceOf(service);
    if (device === undefined || device.id === this.#own.id) return;
    if (!this.#heard.has(service.fqdn) && this.#heard.size >= MAX_DEVICES) return;
    this.#heard.delete(service.fqdn);
    this.#heard.set(service.fqdn, device);
    this.emit('changed');
  }

  #down(name: string): void {
    if (this.#heard.delete(name)) this.emit('changed');
  }
}

/** What an announcement says, if it says anything that one of ours could. */
export function deviceOf(
  service: Pick<Service, 'txt' | 'port' | 'addresses' | 'referer'>,
): FoundDevice | undefined {
  const said = announcement.safeParse({ ...service.txt });
  const port = z.int().min(1).max(65_535).safeParse(service.port);
  if (!said.success || !port.success) return undefined;
  // Who sent it first: what it says of itself may be of another network.
  const hosts = [service.referer?.address, ...(service.addresses ?? [])]
    .filter((host) => host !== undefined && isIPv4(host))
    .slice(0, MAX_TARGETS);
  const targets = [...new Set(hosts)].map((host) => ({ host: String(host), port: port.data }));
  if (targets.length === 0) return undefined;
  const { id, n: name, p: profile } = said.data;
  return { id, name, profile, targets };
}

interface VoiceEvents {
  readonly up: (service: Service) => void;
  /** @param name of the service */
  readonly down: (name: string) => void;
  readonly failed: (error: Error) => void;
}

/** Speaks and listens at one interface. */
class Voice {
  readonly #bonjour: Bonjour;
  readonly #events: VoiceEvents;
  #browser: Browser;

  constructor(address: string, { id, name, profile, port }: Announcement, events: VoiceEvents) {
    this.#events = events;
    // `bind`: on Linux a socket bound to one address hears no multicast.
    const options = { interface: address, bind: '0.0.0.0' };
    this.#bonjour = new Bonjour(options as object, events.failed);
    // It throws away nobody's error event but leaves it to crash the process.
    const { mdns } = (this.#bonjour as unknown as { server: { mdns: EventEmitter } }).server;
    mdns.on('error', events.failed);
    const unique = `sojourn-${randomBytes(6).toString('hex')}`;
    this.#bonjour.publish({
      ...{ name: unique, host: `${unique}.local`, type: SERVICE, port },
      txt: { v: VERSION, id, n: name.slice(0, 64), p: profile },
      // The name is random: nobody else has it, and nobody has to be asked.
      probe: false,
      disableIPv6: true,
    });
    this.#browser = this.#browse();
  }

  ask(): void {
    this.#browser.update();
  }

  /** Says goodbye first. */
  async close(): Promise<void> {
    this.#browser.stop();
    await new Promise<void>((resolve) => this.#bonjour.unpublishAll(() => resolve()));
    await new Promise<void>((resolve) => this.#bonjour.destroy(() => resolve()));
  }

  #browse(): Browser {
    const { up, down } = this.#events;
    const browser = this.#bonjour.find({ type: SERVICE });
    const heard = (service: Service) => {
      up(service);
      if (browser.services.length <= MAX_SERVICES) return;
      browser.stop();
      this.#browser = this.#browse();
    };
    browser.on('up', heard);
    browser.on('srv-update', heard);
    browser.on('txt-update', heard);
    browser.on('down', ({ fqdn }) => down(fqdn));
    return browser;
  }
}

/** One IPv4 address of each network of this machine. */
function localAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap(
      (addresses) =>
        addresses?.find(({ family, internal }) => family === 'IPv4' && !internal) ?? [],
    )
    .map(({ address }) => address)
    .slice(0, MAX_INTERFACES);
}
