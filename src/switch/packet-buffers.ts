/** Packets that controllers were sent the beginning of, until they say what becomes of them (OpenFlow 1.3.5, 6.1.2). */
import { NO_BUFFER, openFlowError } from '../openflow/index.ts';

/** A power of two. The oldest gives way to the newest. */
export const BUFFER_COUNT = 256;

export interface KeptPacket {
  readonly frame: Buffer;
  readonly inPort: number;
}

export class PacketBuffers {
  readonly #slots: { number: number; packet: KeptPacket | undefined }[] = [];
  #next = 0;

  /** @returns its number, which is not given again for a long time. */
  keep(packet: KeptPacket): number {
    const number = this.#next;
    this.#next = number + 1 >= NO_BUFFER ? 0 : number + 1;
    this.#slots[number % BUFFER_COUNT] = { number, packet };
    return number;
  }

  /** @throws OpenFlowError OFPBRC_BUFFER_UNKNOWN, OFPBRC_BUFFER_EMPTY when it was used already. */
  peek(number: number): KeptPacket {
    const slot = this.#slots[number % BUFFER_COUNT];
    if (slot?.number !== number)
      throw openFlowError('bad-request', 'buffer-unknown', `buffer ${number}`);
    if (slot.packet === undefined)
      throw openFlowError('bad-request', 'buffer-empty', `buffer ${number} was used`);
    return slot.packet;
  }

  take(number: number): KeptPacket {
    const packet = this.peek(number);
    this.#slots[number % BUFFER_COUNT] = { number, packet: undefined };
    return packet;
  }
}
