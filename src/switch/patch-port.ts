/** One end of a cable between two switches of this process. */
import { FrameBatch, FrameReader } from './framing.ts';
import { type Packet, putU32 } from './packet.ts';
import type { Switch } from './pipeline.ts';
import { type SwitchPort, zeroCounters } from './ports.ts';

/** Switches that a packet may go through by such cables; those that are joined in a ring would pass it on for ever. */
export const MAX_HOPS = 32;
const HOP_BYTES = 1;

export interface PatchEnd {
  readonly number: number;
  readonly owner: Switch;
  /** At most 15 bytes. */
  readonly name?: string;
}

export class PatchPort implements SwitchPort {
  readonly number: number;
  readonly name: string;
  readonly mtu = 65_535;
  readonly counters = zeroCounters();
  readonly #owner: Switch;
  readonly #batch = new FrameBatch((bytes) => {
    this.#peer?.receive(bytes);
    // What comes back at once is put into the same arena.
    return false;
  });
  readonly #reader = new FrameReader('stream', (buffer, start, end) => {
    const hops = buffer[start] as number;
    this.#owner.receiveFrame(this, buffer, start + HOP_BYTES, end, hops);
  });
  #peer: PatchPort | undefined;

  private constructor({ number, owner, name }: PatchEnd) {
    this.number = number;
    this.name = name ?? `patch${number}`;
    this.#owner = owner;
  }

  /** Joins two switches. The ports are attached; `disconnect` one of them to end it. */
  static connect(one: PatchEnd, other: PatchEnd): [PatchPort, PatchPort] {
    const ports: [PatchPort, PatchPort] = [new PatchPort(one), new PatchPort(other)];
    const [a, b] = ports;
    a.#peer = b;
    b.#peer = a;
    for (const port of ports) port.#owner.attach(port);
    return ports;
  }

  get connected(): boolean {
    return this.#peer !== undefined;
  }

  /** Pulls the cable; both ports stay, without a link. */
  disconnect(): void {
    const peer = this.#peer;
    this.#peer = undefined;
    this.#owner.portChanged(this.number);
    if (peer?.connected) peer.disconnect();
  }

  send(packet: Packet): void {
    if (this.#peer === undefined || packet.hops >= MAX_HOPS) {
      this.counters.txDropped++;
      return;
    }
    const bytes = packet.frameBytes;
    const offset = this.#batch.reserve(4 + HOP_BYTES + bytes);
    putU32(this.#batch.buffer, offset, HOP_BYTES + bytes);
    this.#batch.buffer[offset + 4] = packet.hops + 1;
    packet.writeFrame(this.#batch.buffer, offset + 4 + HOP_BYTES);
    this.counters.txPackets++;
    this.counters.txBytes += bytes;
  }

  flush(): void {
    this.#batch.flush();
  }

  receive(bytes: Buffer): void {
    this.#reader.push(bytes);
    this.#owner.flush();
  }
}
