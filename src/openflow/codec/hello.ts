/**
 * Hello (OpenFlow 1.3.5, 7.5.1): elements `be16 type, be16 length` padded to 8 bytes. The one that is defined holds
 * a bitmap of versions, 32 to a word, version 0 in the lowest bit of the first. Unknown elements are skipped.
 */
import { openFlowError } from '../errors.ts';
import type { Hello } from '../messages.ts';
import type { Kind } from './layout.ts';

const VERSION_BITMAP = 1;
/** Versions are bytes. */
const BITMAP_WORDS = 8;

/** The version is the header's: see `codec.ts`. */
export const hello: Kind<Omit<Hello, 'version'>> = {
  read(from) {
    const versions = new Set<number>();
    while (from.left >= 4) {
      const type = from.u16();
      const length = from.u16();
      if (length < 4) throw openFlowError('bad-request', 'bad-len', `hello element of ${length}`);
      const element = from.part(length - 4);
      // The padding of the last element may be left out.
      from.skip(Math.min(-length & 7, from.left));
      if (type !== VERSION_BITMAP) continue;
      for (let word = 0; word < BITMAP_WORDS && element.left >= 4; word++) {
        const bits = element.u32();
        for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) versions.add(32 * word + bit);
      }
    }
    // Less than an element.
    from.skip(from.left);
    return { type: 'hello', versions: [...versions].sort((a, b) => a - b) };
  },
  write(to, { versions }) {
    if (versions.length === 0) return;
    const start = to.length;
    const words = Math.floor(Math.max(...versions) / 32) + 1;
    to.u16(VERSION_BITMAP);
    to.u16(4 + 4 * words);
    for (let word = 0; word < words; word++) {
      let bits = 0;
      for (const version of versions)
        if (Math.floor(version / 32) === word) bits |= 1 << (version % 32);
      to.u32(bits >>> 0);
    }
    to.align(start);
  },
};
