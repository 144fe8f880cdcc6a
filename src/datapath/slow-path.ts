/**
 * Packets that the tables hand to the switch itself: what the gateway answers, and ICMP errors. Rates are limited per
 * port, so that a flood of such packets costs the others nothing.
 */
import { type PacketIn, PORT, type Switch } from '../switch/index.ts';
import {
  answerGuest,
  answerHost,
  echoReply,
  fragment4,
  type GuestGateway,
  gatewayFrame,
  type IcmpProblem,
  icmpError,
  TokenBucket,
} from '../switch/services/index.ts';
import { PURPOSE, purposeOf } from './program/index.ts';

/** Packets a second, and at once. */
const SERVICE_RATE = { perSecond: 1_000, burst: 500 };
/** RFC 4443, 2.4(f); RFC 1812, 4.3.2.8. */
const ERROR_RATE = { perSecond: 200, burst: 100 };
/** Fragmenting is work of the slow path too. */
const FRAGMENT_RATE = { perSecond: 5_000, burst: 500 };
const DONT_FRAGMENT = 0x4000;

export interface Neighbourhood {
  /** The guest of a guest port. */
  guestOfPort(port: number): GuestGateway | undefined;
  /** The guest that has an address. */
  guestOfAddress(address: Buffer): GuestGateway | undefined;
  /** A frame of the guest's to the gateway, before it is answered. */
  heard(port: number, frame: Buffer): void;
  readonly tap: { readonly port: number; readonly toward: 'host' | 'gateway' } | undefined;
  /** The gateway's address of a family for packets to no guest. */
  gatewayOf(address: Buffer): Buffer | undefined;
}

interface Buckets {
  readonly service: TokenBucket;
  readonly error: TokenBucket;
  readonly fragment: TokenBucket;
}

export class SlowPath {
  readonly #around: Neighbourhood;
  readonly #now: () => number;
  readonly #buckets = new Map<number, Buckets>();
  rateLimited = 0;

  constructor(around: Neighbourhood, now: () => number) {
    this.#around = around;
    this.#now = now;
  }

  /** Forgets a port that is gone. */
  forget(port: number): void {
    this.#buckets.delete(port);
  }

  handle(owner: Switch, { inPort, reason, cookie, mtu, packet }: PacketIn): void {
    // What the switch sends itself causes no answers, or there would be no end to it.
    if (inPort === PORT.local || inPort === PORT.controller) return;
    const buckets = this.#bucketsOf(inPort);
    const now = this.#now();
    if (reason === 'too-big' && this.#mayFragment(packet.toFrame())) {
      if (!buckets.fragment.take(now)) this.rateLimited++;
      else
        for (const part of fragment4(packet.toFrame().subarray(14), mtu))
          owner.inject(gatewayFrame(part));
      return;
    }
    const isService = reason === 'action' && purposeOf(cookie) === PURPOSE.service;
    if (!(isService ? buckets.service : buckets.error).take(now)) {
      this.rateLimited++;
      return;
    }
    const frame = packet.toFrame();
    if (isService) this.#serve(owner, inPort, frame);
    else {
      const kind =
        reason === 'invalid-ttl' ? 'time-exceeded' : reason === 'too-big' ? reason : 'unreachable';
      this.#complain(owner, inPort, frame.subarray(14), { kind, mtu });
    }
  }

  #serve(owner: Switch, inPort: number, frame: Buffer): void {
    const guest = this.#around.guestOfPort(inPort);
    if (guest !== undefined) {
      this.#around.heard(inPort, frame);
      const answer = answerGuest(frame, guest);
      if (answer !== undefined) owner.sendFrames(inPort, [answer]);
      return;
    }
    if (inPort !== this.#around.tap?.port) return;
    const answer = answerHost(frame, (address) => this.#isOurs(address));
    if (answer !== undefined) {
      owner.sendFrames(inPort, [answer]);
      return;
    }
    const type = frame.readUInt16BE(12);
    const reply = type === 0x0800 || type === 0x86dd ? echoReply(frame.subarray(14)) : undefined;
    if (reply !== undefined) owner.inject(gatewayFrame(reply));
  }

  #isOurs(address: Buffer): boolean {
    return (
      this.#around.guestOfAddress(address) !== undefined ||
      this.#around.gatewayOf(address)?.equals(address) === true
    );
  }

  #complain(
    owner: Switch,
    inPort: number,
    packet: Buffer,
    { kind, mtu }: { kind: IcmpProblem['kind']; mtu: number },
  ): void {
    const v4 = (packet[0] as number) >> 4 === 4;
    const destination = v4 ? packet.subarray(16, 20) : packet.subarray(24, 40);
    const guest = this.#around.guestOfPort(inPort) ?? this.#around.guestOfAddress(destination);
    const source = v4 ? guest?.gateway4 : guest?.gateway6;
    const { tap } = this.#around;
    // A gateway takes packets from here of guests alone: errors of the way to a guest are of the guest.
    const from =
      inPort === tap?.port && tap.toward === 'gateway'
        ? destination
        : (source ?? this.#around.gatewayOf(destination));
    if (from === undefined) return;
    const error = icmpError(packet, from, { kind, mtu } as IcmpProblem);
    if (error !== undefined) owner.inject(gatewayFrame(error));
  }

  #mayFragment(frame: Buffer): boolean {
    if (frame.readUInt16BE(12) !== 0x0800) return false;
    return (frame.readUInt16BE(20) & DONT_FRAGMENT) === 0;
  }

  #bucketsOf(port: number): Buckets {
    const known = this.#buckets.get(port);
    if (known !== undefined) return known;
    const now = this.#now();
    const fresh: Buckets = {
      service: new TokenBucket(SERVICE_RATE.perSecond, SERVICE_RATE.burst, now),
      error: new TokenBucket(ERROR_RATE.perSecond, ERROR_RATE.burst, now),
      fragment: new TokenBucket(FRAGMENT_RATE.perSecond, FRAGMENT_RATE.burst, now),
    };
    this.#buckets.set(port, fresh);
    return fresh;
  }
}
