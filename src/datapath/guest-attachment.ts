/**
 * One guest at one datapath: runs its switchover state machine, holds its packets, and is the port that they are sent to
 * while they do not simply go through.
 */
import type { GuestNetwork } from '../guest/spec.ts';
import {
  type Packet,
  type StreamPort,
  type Switch,
  type SwitchPort,
  zeroCounters,
} from '../switch/index.ts';
import {
  GUEST_MTU,
  type GuestGateway,
  gatewayFrame,
  guestGateway,
} from '../switch/services/index.ts';
import type { GuestFlows } from './program/index.ts';
import { step } from './switchover.ts';
import {
  deadlineOf,
  type Effect,
  type Event,
  forwardedTreatment,
  initial,
  type Marker,
  type Place,
  type State,
  type Step,
  settled,
  sourcePeers,
  treatment,
} from './switchover-state.ts';

/** Bytes held for one guest, in all its queues together. */
export const MAX_HELD_BYTES = 4 * 1024 * 1024;

/** What an attachment needs of the datapath around it. */
export interface Surroundings {
  readonly owner: Switch;
  now(): number;
  tunnel(peer: string): { readonly number: number } | undefined;
  /** The port toward a gateway, if this place has one. */
  readonly gateway: number | undefined;
  sendMarker(peer: string, marker: Marker, guestId: string, epoch: number): void;
  sendForward(peer: string, guestId: string, epoch: number, packet: Buffer): void;
  flushTunnel(peer: string): void;
  report(event: 'holdTimeout' | 'markerTimeout' | 'holdOverflow', guestId: string): void;
  /** The flows of this guest have to be compiled anew. */
  changed(attachment: GuestAttachment): void;
}

export class GuestAttachment implements SwitchPort {
  readonly number: number;
  readonly mtu = GUEST_MTU;
  readonly counters = zeroCounters();
  readonly guestId: string;
  readonly index: number;
  gateway: GuestGateway;
  network: GuestNetwork;
  mac: string;
  /** The place of the guest's anchor; undefined when it is this datapath. */
  anchor: string | undefined;
  port: StreamPort | undefined;
  /** Path of the port's socket, also while that is being opened. */
  socket: string | undefined;
  /** The port's packets wait for `release`: its QEMU does not run the guest yet. */
  gated = false;
  #state: State;
  readonly #held: Buffer[] = [];
  readonly #forwarded: Buffer[] = [];
  readonly #gate: Buffer[] = [];
  #heldBytes = 0;
  #overflowed = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #around: Surroundings;

  constructor(
    identity: {
      number: number;
      index: number;
      guestId: string;
      network: GuestNetwork;
      mac: string;
    },
    place: { epoch: number; place: Place; anchor: string | undefined },
    around: Surroundings,
  ) {
    this.number = identity.number;
    this.index = identity.index;
    this.guestId = identity.guestId;
    this.network = identity.network;
    this.mac = identity.mac;
    this.gateway = guestGateway(identity.network, identity.mac);
    this.anchor = place.anchor;
    this.#state = initial(place.epoch, place.place);
    this.#around = around;
  }

  get state(): State {
    return this.#state;
  }

  get heldPackets(): { held: number; forwarded: number; gate: number; bytes: number } {
    return {
      held: this.#held.length,
      forwarded: this.#forwarded.length,
      gate: this.#gate.length,
      bytes: this.#heldBytes,
    };
  }

  identify(network: GuestNetwork, mac: string): void {
    this.network = network;
    this.mac = mac;
    this.gateway = guestGateway(network, mac);
  }

  /** Takes a step; its effects have happened when this returns. @returns why it was refused, if it was. */
  apply(event: Event): Step['refused'] {
    const { state, effects, refused } = step(this.#state, event, this.#around.now());
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    if (!this.#held.length && !this.#forwarded.length && !this.#gate.length)
      this.#overflowed = false;
    this.#schedule();
    this.#around.changed(this);
    return refused;
  }

  /** Lets the port's packets through, those that waited first. */
  release(): void {
    this.gated = false;
    this.#deliverLocal(this.#take(this.#gate));
    this.#around.changed(this);
  }

  /** A FWD packet: what the source held, or got late. */
  forwarded(from: string, epoch: number, packet: Buffer): void {
    const fate = forwardedTreatment(this.#state, from, epoch);
    if (fate === 'drop' || packet.length < 20) {
      this.counters.rxDropped++;
      return;
    }
    const frame = gatewayFrame(packet);
    this.gateway.mac.copy(frame, 0);
    if (fate === 'keep') this.#keep(this.#forwarded, frame);
    else if ('place' in this.#state) this.#deliver(this.#state.place, [frame]);
  }

  /** A packet that the flows did not send straight on. */
  send(packet: Packet): void {
    const fate = treatment(this.#state);
    if (fate.kind === 'hold') this.#keep(this.#held, packet.toFrame());
    else if (fate.kind === 'forward')
      this.#around.sendForward(
        fate.anchor,
        this.guestId,
        fate.epoch,
        packet.buffer.subarray(packet.l3, packet.end),
      );
    // Ahead of the mapping: what the guest's new place gets before it knows that it is one.
    else if (this.gated) this.#keep(this.#gate, packet.toFrame());
    else this.counters.txDropped++;
  }

  flush(): void {
    const fate = treatment(this.#state);
    if (fate.kind === 'forward') this.#around.flushTunnel(fate.anchor);
  }

  /** The flows that make it so. */
  flows(): GuestFlows {
    const { port, gated } = this;
    const fate = treatment(this.#state);
    let output: number | undefined = this.number;
    let fromTunnel: GuestFlows['fromTunnel'];
    if (fate.kind === 'deliver') {
      if (fate.place.kind === 'local') output = gated ? this.number : port?.number;
      else {
        output = this.#tunnelTo(fate.place);
        const arrival = this.#tunnelOf(this.anchor) ?? output;
        if (gated && arrival !== undefined) fromTunnel = { tunnel: arrival, output: this.number };
      }
    }
    const sources = sourcePeers(this.#state)
      .filter((peer) => peer !== this.anchor)
      .map((peer) => this.#tunnelOf(peer))
      .filter((number) => number !== undefined);
    return {
      index: this.index,
      network: this.network,
      mac: this.mac,
      here: settled(this.#state).place.kind === 'local',
      port: port?.number,
      output,
      fromTunnel,
      sources,
      uplink: this.#tunnelOf(this.anchor),
      gateway: this.#around.gateway,
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const queue of [this.#held, this.#forwarded, this.#gate]) this.#take(queue);
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case 'send':
        this.#around.sendMarker(effect.peer, effect.marker, this.guestId, effect.epoch);
        break;
      case 'deliver-held':
        this.#deliver(effect.place, this.#take(this.#held));
        break;
      case 'deliver-forwarded':
        this.#deliver(effect.place, this.#take(this.#forwarded));
        break;
      case 'forward-held':
        for (const frame of this.#take(this.#held))
          this.#around.sendForward(effect.anchor, this.guestId, effect.epoch, frame.subarray(14));
        this.#around.flushTunnel(effect.anchor);
        break;
      case 'report':
        this.#around.report(effect.event, this.guestId);
        break;
    }
  }

  #tunnelOf(peer: string | undefined): number | undefined {
    return peer === undefined ? undefined : this.#around.tunnel(peer)?.number;
  }

  /**
   * Places that have no tunnel between them reach each other through the guest's anchor, which also knows where a guest
   * is that this place does not know the whereabouts of.
   */
  #tunnelTo(place: Place): number | undefined {
    const peer = place.kind === 'peer' ? place.peer : undefined;
    return this.#tunnelOf(peer) ?? this.#tunnelOf(this.anchor);
  }

  #deliver(place: Place, frames: Buffer[]): void {
    if (frames.length === 0) return;
    if (place.kind === 'local') this.#deliverLocal(frames);
    else {
      const tunnel = this.#tunnelTo(place);
      if (tunnel === undefined) this.counters.txDropped += frames.length;
      else this.#around.owner.sendFrames(tunnel, frames);
    }
  }

  #deliverLocal(frames: Buffer[]): void {
    if (this.gated) for (const frame of frames) this.#keep(this.#gate, frame);
    else if (this.port === undefined) this.counters.txDropped += frames.length;
    else this.#around.owner.sendFrames(this.port.number, frames);
  }

  #keep(queue: Buffer[], frame: Buffer): void {
    if (this.#heldBytes + frame.length > MAX_HELD_BYTES) {
      this.counters.txDropped++;
      if (!this.#overflowed) this.#around.report('holdOverflow', this.guestId);
      this.#overflowed = true;
      return;
    }
    this.#heldBytes += frame.length;
    queue.push(frame);
  }

  #take(queue: Buffer[]): Buffer[] {
    const frames = queue.splice(0);
    for (const frame of frames) this.#heldBytes -= frame.length;
    return frames;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const deadline = deadlineOf(this.#state);
    if (deadline === undefined) return;
    // One more millisecond: a timer may fire a fraction before its time.
    const wait = Math.max(0, deadline - this.#around.now()) + 1;
    this.#timer = setTimeout(() => this.apply({ kind: 'tick' }), wait);
  }
}
