/**
 * The translator as a port of an embedded switch: an IP packet that is sent to the port comes back from it in the other family,
 * with the Ethernet addresses it had, or as the ICMP error it caused. Flows say what goes there and where to go then. At an
 * Open vSwitch it is behind a TAP: an embedded switch with two ports that passes everything between this one and the TAP.
 */
import {
  ETH_TYPE,
  FrameBatch,
  FrameReader,
  type Packet,
  type Switch,
  type SwitchPort,
  zeroCounters,
} from '../../switch/index.ts';
import type { DropReason } from './outcome.ts';
import { type TranslatorOptions, translatePacket } from './translator.ts';

const ETHERNET_BYTES = 14;
const LENGTH_BYTES = 4;

export interface NatPtPortOptions extends Omit<TranslatorOptions, 'nextIdentification'> {
  readonly number: number;
  readonly owner: Switch;
  /** At most 15 bytes. */
  readonly name?: string;
}

export class NatPtPort implements SwitchPort {
  readonly number: number;
  readonly name: string;
  readonly mtu = 65_535;
  readonly counters = zeroCounters();
  /** Packets that were not translated, by reason. */
  readonly drops: Partial<Record<DropReason, number>> = {};
  readonly #owner: Switch;
  readonly #options: TranslatorOptions;
  // What comes back is handed over when the chunk that caused it is through, so that no packet is under way twice.
  readonly #batch = new FrameBatch((bytes) => {
    this.#reader.push(bytes);
    this.#owner.flush();
    return false;
  });
  readonly #reader = new FrameReader('stream', (buffer, start, end) =>
    this.#owner.receiveFrame(this, buffer, start, end),
  );
  #identification = 0;

  /** The caller attaches it to `owner`. */
  constructor(options: NatPtPortOptions) {
    this.number = options.number;
    this.name = options.name ?? `natpt${options.number}`;
    this.#owner = options.owner;
    const nextIdentification = () => {
      this.#identification = (this.#identification + 1) & 0xffff;
      return this.#identification;
    };
    this.#options = { ...options, nextIdentification };
  }

  send(packet: Packet): void {
    const type = packet.ethType;
    if ((type !== ETH_TYPE.ipv4 && type !== ETH_TYPE.ipv6) || packet.tagged) {
      this.counters.txDropped++;
      return;
    }
    const frame = packet.toFrame();
    this.counters.txPackets++;
    this.counters.txBytes += frame.length;
    const outcome = translatePacket(frame.subarray(ETHERNET_BYTES), this.#options);
    if (outcome.kind === 'translated')
      for (const translated of outcome.packets) this.#give(frame.subarray(0, 12), translated);
    else if (outcome.kind === 'reply')
      this.#give(Buffer.concat([frame.subarray(6, 12), frame.subarray(0, 6)]), outcome.packet);
    else this.drops[outcome.reason] = (this.drops[outcome.reason] ?? 0) + 1;
  }

  flush(): void {
    this.#batch.flush();
  }

  #give(addresses: Buffer, packet: Buffer): void {
    const bytes = ETHERNET_BYTES + packet.length;
    const at = this.#batch.reserve(LENGTH_BYTES + bytes);
    const { buffer } = this.#batch;
    buffer.writeUInt32BE(bytes, at);
    addresses.copy(buffer, at + LENGTH_BYTES);
    const type = (packet[0] as number) >> 4 === 4 ? ETH_TYPE.ipv4 : ETH_TYPE.ipv6;
    buffer.writeUInt16BE(type, at + LENGTH_BYTES + 12);
    packet.copy(buffer, at + LENGTH_BYTES + ETHERNET_BYTES);
  }
}
