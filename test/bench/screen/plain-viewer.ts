/**
 * A plain VNC viewer, for comparison: asks for one update after the other, as RFC 6143 has it, and says what it sees of the
 * demo guest's picture. `node plain-viewer.ts PATH | HOST PORT`; each line of its output is a `Seen`. For each line of its
 * input it presses a key. It ends when the display does.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInflate, type Inflate } from 'node:zlib';
import { BITS, type Seen, SQUARE } from './picture.ts';

const ENCODING_ZLIB = 6;
const ENCODING_RAW = 0;
const ENCODING_SIZE = -223;
const KEY = 0x61;

/** Exactly so many bytes of a stream, one after the other. */
class Reader {
  readonly #stream: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>) {
    this.#stream = stream[Symbol.asyncIterator]();
  }

  async take(length: number): Promise<Buffer> {
    while (this.#rest.length < length) {
      const { value, done } = await this.#stream.next();
      if (done) throw new Error('the display has ended');
      this.#rest = Buffer.concat([this.#rest, value]);
    }
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}

class PlainViewer {
  readonly #socket: Socket;
  readonly #reader: Reader;
  readonly #inflate: Inflate = createInflate();
  readonly #plain = new Reader(this.#inflate);
  #width = 0;
  #height = 0;
  #picture: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#reader = new Reader(socket);
  }

  async greet(): Promise<void> {
    await this.#reader.take(12);
    this.#socket.write('RFB 003.008\n');
    const [count = 0] = await this.#reader.take(1);
    await this.#reader.take(count);
    this.#socket.write(Buffer.of(1));
    await this.#reader.take(4);
    this.#socket.write(Buffer.of(1));
    const init = await this.#reader.take(24);
    await this.#reader.take(init.readUInt32BE(20));
    this.#resize(init.readUInt16BE(0), init.readUInt16BE(2));
    const encodings = Buffer.alloc(4 + 3 * 4);
    encodings.writeUInt8(2, 0);
    encodings.writeUInt16BE(3, 2);
    for (const [index, one] of [ENCODING_ZLIB, ENCODING_RAW, ENCODING_SIZE].entries())
      encodings.writeInt32BE(one, 4 + 4 * index);
    this.#socket.write(encodings);
    this.#ask(0);
  }

  /** Resolves with each complete update. */
  async update(): Promise<void> {
    const [type] = await this.#reader.take(1);
    if (type === 2) return;
    if (type === 3) {
      const head = await this.#reader.take(7);
      await this.#reader.take(head.readUInt32BE(3));
      return;
    }
    if (type !== 0) throw new Error(`a message of the type ${type}`);
    const count = (await this.#reader.take(3)).readUInt16BE(1);
    for (let index = 0; index < count; index++) await this.#rectangle();
    this.#ask(1);
  }

  get seen(): Seen {
    const at = performance.timeOrigin + performance.now();
    return { at, frame: this.#number(0), keys: this.#number(1) };
  }

  press(): void {
    for (const down of [1, 0]) this.#socket.write(Buffer.of(4, down, 0, 0, 0, 0, 0, KEY));
  }

  #number(row: number): number {
    let number = 0;
    for (let bit = 0; bit < BITS; bit++) {
      const x = bit * SQUARE + SQUARE / 2;
      const y = row * SQUARE + SQUARE / 2;
      number = number * 2 + ((this.#picture[(y * this.#width + x) * 4] ?? 0) > 127 ? 1 : 0);
    }
    return number;
  }

  async #rectangle(): Promise<void> {
    const head = await this.#reader.take(12);
    const [x, y] = [head.readUInt16BE(0), head.readUInt16BE(2)];
    const [width, height] = [head.readUInt16BE(4), head.readUInt16BE(6)];
    const encoding = head.readInt32BE(8);
    if (encoding === ENCODING_SIZE) return this.#resize(width, height);
    const pixels = await this.#pixels(encoding, width * height * 4);
    for (let row = 0; row < height; row++)
      pixels.copy(
        this.#picture,
        ((y + row) * this.#width + x) * 4,
        row * width * 4,
        (row + 1) * width * 4,
      );
  }

  async #pixels(encoding: number, length: number): Promise<Buffer> {
    if (encoding === ENCODING_RAW) return this.#reader.take(length);
    if (encoding !== ENCODING_ZLIB) throw new Error(`the encoding ${encoding}`);
    const packed = await this.#reader.take((await this.#reader.take(4)).readUInt32BE(0));
    this.#inflate.write(packed);
    return this.#plain.take(length);
  }

  #resize(width: number, height: number): void {
    [this.#width, this.#height] = [width, height];
    this.#picture = Buffer.alloc(width * height * 4);
  }

  #ask(incremental: 0 | 1): void {
    const request = Buffer.alloc(10);
    request.writeUInt8(3, 0);
    request.writeUInt8(incremental, 1);
    request.writeUInt16BE(this.#width, 6);
    request.writeUInt16BE(this.#height, 8);
    this.#socket.write(request);
  }
}

async function main(): Promise<void> {
  const [to = '', port] = process.argv.slice(2);
  const socket = port === undefined ? connect(to) : connect(Number(port), to);
  await once(socket, 'connect');
  socket.setNoDelay(true);
  const viewer = new PlainViewer(socket);
  await viewer.greet();
  process.stdin.on('data', () => viewer.press());
  for (;;) {
    await viewer.update();
    process.stdout.write(`${JSON.stringify(viewer.seen)}\n`);
  }
}

if (process.argv[1] === import.meta.filename)
  // Its end is what the bench looks at.
  await main().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
