/** The frames of a screen on a byte stream (`screen.ts`). */
import { MAX_SCREEN_FRAME, type ScreenNote, screenNote } from './screen.ts';

const HEADER_BYTES = 5;
const PICTURE = 1;
const NOTE = 2;

export type ScreenFrame =
  | { readonly kind: 'picture'; readonly bytes: Buffer }
  | { readonly kind: 'note'; readonly note: ScreenNote };

/** The frames of one piece of a picture, however long it is. */
export function* pictureFrames(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += MAX_SCREEN_FRAME) {
    const piece = bytes.subarray(at, at + MAX_SCREEN_FRAME);
    yield header(PICTURE, piece.length);
    yield piece;
  }
}

export function noteFrame(note: ScreenNote): Buffer {
  const text = Buffer.from(JSON.stringify(note));
  return Buffer.concat([header(NOTE, text.length), text]);
}

/** Cuts a stream into frames. Bounded by one frame. */
export class ScreenFrames {
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Nothing can be told before so many bytes are there. */
  #wanted = HEADER_BYTES;

  /** @throws Error for what is no frame, or too long a one */
  *push(chunk: Buffer): Generator<ScreenFrame> {
    this.#pieces.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= this.#wanted) {
      const all =
        this.#pieces.length === 1 ? (this.#pieces[0] ?? chunk) : Buffer.concat(this.#pieces);
      const length = all.readUInt32BE(1);
      if (length > MAX_SCREEN_FRAME) throw new Error(`a frame of ${length} bytes`);
      const end = HEADER_BYTES + length;
      const whole = all.length >= end;
      const rest = whole ? all.subarray(end) : all;
      [this.#pieces, this.#bytes] = [[rest], rest.length];
      this.#wanted = whole ? HEADER_BYTES : end;
      if (whole) yield frameOf(all[0], all.subarray(HEADER_BYTES, end));
    }
  }
}

function frameOf(kind: number | undefined, payload: Buffer): ScreenFrame {
  if (kind === PICTURE) return { kind: 'picture', bytes: payload };
  if (kind !== NOTE) throw new Error(`a frame of the kind ${kind}`);
  return { kind: 'note', note: screenNote.parse(JSON.parse(payload.toString())) };
}

function header(kind: number, length: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt8(kind, 0);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}
