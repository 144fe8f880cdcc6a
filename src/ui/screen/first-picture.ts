/**
 * Tells from what a display says when its first picture comes (RFC 6143). Displays answer some of what a viewer can do at
 * once, with updates in which there is no picture; a viewer goes on to the next update after those as well.
 */

/** Sizes of what displays say before, bytes (RFC 6143, 7.1 to 7.3). */
const VERSION = 12;
const RESULT = 4;
const INIT = 24;
const RECTANGLE = 12;
/** Kinds of messages (RFC 6143, 7.6). */
const UPDATE = 0;
const COLOURS = 1;
const BELL = 2;
const CUT_TEXT = 3;
/** Rectangles without a picture (IANA's registry of RFB encodings), and how long what follows them is, bytes. */
const NOT_PICTURES: ReadonlyMap<number, number> = new Map([
  // DesktopSize, pointer's mode, QEMU's keys and sound.
  ...([-223, -257, -258, -259] as const).map((encoding) => [encoding, 0] as const),
  // State of the keyboard's lights.
  [-261, 1],
]);
const EXTENDED_DESKTOP_SIZE = -308;
const DESKTOP_NAME = -307;
const CURSOR = -239;
const ALPHA_CURSOR = -314;
const BYTES_A_POINT = 4;
/** Longer things are not waited for: the picture may as well have begun, bytes. */
const MAX_PASSED = 1 << 20;

/** Gives back how many bytes it has to have; resumed with them. */
type Reading = Generator<number, void, DataView>;

export class FirstPicture {
  /** Updates that were complete before the one with the picture; undefined until that has begun. */
  updatesBefore: number | undefined;
  readonly #reading: Reading;
  #needed: number;
  /** What has come and was not read, of what is needed. */
  #bytes = new Uint8Array(0);
  #updates = 0;

  constructor() {
    this.#reading = this.#read();
    this.#needed = this.#reading.next().value ?? 0;
  }

  push(chunk: Uint8Array): void {
    if (this.updatesBefore !== undefined) return;
    const bytes = new Uint8Array(this.#bytes.length + chunk.length);
    bytes.set(this.#bytes);
    bytes.set(chunk, this.#bytes.length);
    let at = 0;
    while (this.updatesBefore === undefined && bytes.length - at >= this.#needed) {
      const view = new DataView(bytes.buffer, at, this.#needed);
      at += this.#needed;
      this.#needed = this.#reading.next(view).value ?? 0;
      if (this.#needed > MAX_PASSED) this.#found();
    }
    this.#bytes = bytes.slice(at);
  }

  *#read(): Reading {
    yield VERSION;
    yield (yield 1).getUint8(0);
    yield RESULT;
    yield (yield INIT).getUint32(INIT - 4);
    for (;;) {
      switch ((yield 1).getUint8(0)) {
        case UPDATE:
          for (let left = (yield 3).getUint16(1); left > 0; left--) {
            const length = lengthAfter(yield RECTANGLE);
            if (length === undefined) return this.#found();
            if (length === 'own') yield (yield 4).getUint32(0);
            else if (length === 'screens') yield (yield 4).getUint8(0) * 16;
            else yield length;
          }
          this.#updates += 1;
          break;
        case COLOURS:
          yield (yield 5).getUint16(3) * 6;
          break;
        case BELL:
          break;
        case CUT_TEXT:
          // Negative where it is extended.
          yield Math.abs((yield 7).getInt32(3));
          break;
        default:
          // Whatever this is, a picture may come after it.
          return this.#found();
      }
    }
  }

  #found(): void {
    this.updatesBefore = this.#updates;
  }
}

/** Bytes after the head of a rectangle, or how they are told; undefined for a picture. */
function lengthAfter(head: DataView): number | 'own' | 'screens' | undefined {
  const [width, height] = [head.getUint16(4), head.getUint16(6)];
  const encoding = head.getInt32(8);
  switch (encoding) {
    case EXTENDED_DESKTOP_SIZE:
      return 'screens';
    case DESKTOP_NAME:
      return 'own';
    case CURSOR:
      return width * height * BYTES_A_POINT + Math.ceil(width / 8) * height;
    case ALPHA_CURSOR:
      return 4 + width * height * BYTES_A_POINT;
    default:
      return NOT_PICTURES.get(encoding);
  }
}
