/** Mutated messages for fuzzing: mostly right, so that they get past the header and deep into the structures. */

/** xorshift32: fast, and the same sequence for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** 0 to `bound` - 1. */
  below(bound: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % bound;
  }
}

const INTERESTING = [0, 1, 4, 7, 8, 0x10, 0x7f, 0x80, 0xfe, 0xff];

/** A message made of `seed` by some changes; its length field mostly tells its length. */
export function mutate(random: Random, seed: Uint8Array, other: Uint8Array): Buffer {
  let bytes = Buffer.from(seed);
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(bytes.length);
    switch (random.below(7)) {
      case 0:
        bytes[at] = random.below(256);
        break;
      case 1:
        bytes[at] = INTERESTING[random.below(INTERESTING.length)] as number;
        break;
      case 2:
        bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
        break;
      case 3:
        bytes = bytes.subarray(0, Math.max(8, at));
        break;
      case 4:
        bytes = Buffer.concat([bytes, other.subarray(random.below(other.length))]);
        break;
      case 5: {
        const from = random.below(other.length);
        const part = other.subarray(from, from + 1 + random.below(32));
        bytes.set(part.subarray(0, bytes.length - at), at);
        break;
      }
      default: {
        const end = at + random.below(32);
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
      }
    }
    if (bytes.length < 8) bytes = Buffer.concat([bytes, Buffer.alloc(8 - bytes.length)]);
    if (bytes.length > 0xffff) bytes = bytes.subarray(0, 0xffff);
  }
  if (random.below(16) !== 0) {
    bytes[0] = 4;
    bytes.writeUInt16BE(bytes.length, 2);
  }
  return bytes;
}
