/** Reading and writing of big-endian fields with bounds. */
import type { OpenFlowError } from '../errors.ts';

/** Makes the error for a structure that ends too early or too late. */
export type LengthError = (detail: string) => OpenFlowError;

export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #lengthError: LengthError;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start: number, end: number, lengthError: LengthError) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
    this.#lengthError = lengthError;
  }

  /** Bytes that are not read yet. */
  get left(): number {
    return this.#end - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }

  /** An unsigned number of `bytes` bytes. */
  big(bytes: number): bigint {
    if (bytes === 4) return BigInt(this.u32());
    if (bytes === 2) return BigInt(this.u16());
    if (bytes === 1) return BigInt(this.u8());
    if (bytes === 8) return this.u64();
    let value = 0n;
    for (let left = bytes; left > 0; ) {
      if (left >= 8) {
        value = (value << 64n) | this.u64();
        left -= 8;
      } else if (left >= 4) {
        value = (value << 32n) | BigInt(this.u32());
        left -= 4;
      } else {
        value = (value << 8n) | BigInt(this.u8());
        left--;
      }
    }
    return value;
  }

  /** A copy. */
  bytes(count: number): Uint8Array {
    const at = this.#advance(count);
    return new Uint8Array(this.#bytes.subarray(at, at + count));
  }

  rest(): Uint8Array {
    return this.bytes(this.left);
  }

  skip(count: number): void {
    this.#advance(count);
  }

  /** What the next call of `u16` would give, `offset` bytes from here. */
  peek16(offset: number): number {
    this.#check(offset + 2);
    return this.#view.getUint16(this.#at + offset);
  }

  /** A reader of the next `count` bytes, which are skipped here. */
  part(count: number, lengthError: LengthError = this.#lengthError): Reader {
    const at = this.#advance(count);
    return new Reader(this.#bytes, at, at + count, lengthError);
  }

  /** @throws OpenFlowError when something is left. */
  finish(): void {
    if (this.left !== 0) throw this.#lengthError(`${this.left} bytes too many`);
  }

  fail(detail: string): OpenFlowError {
    return this.#lengthError(detail);
  }

  #advance(count: number): number {
    this.#check(count);
    const at = this.#at;
    this.#at += count;
    return at;
  }

  #check(count: number): void {
    if (count < 0 || this.#at + count > this.#end)
      throw this.#lengthError(`${count - this.left} bytes missing`);
  }
}

/** A growing buffer. A value that does not fit its field is a defect of the caller: a RangeError. */
export class Writer {
  #bytes = Buffer.alloc(256);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#bytes.writeUInt8(value, at);
  }

  u16(value: number): void {
    const at = this.#grow(2);
    this.#bytes.writeUInt16BE(value, at);
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#bytes.writeUInt32BE(value, at);
  }

  u64(value: bigint): void {
    const at = this.#grow(8);
    this.#bytes.writeBigUInt64BE(value, at);
  }

  /** An unsigned number in `bytes` bytes: up to 6, 8 or 16. */
  big(value: bigint, bytes: number): void {
    if (value < 0n || value >> BigInt(8 * bytes) !== 0n)
      throw new RangeError(`${value} does not fit ${bytes} bytes`);
    const at = this.#grow(bytes);
    if (bytes <= 6) this.#bytes.writeUIntBE(Number(value), at, bytes);
    else if (bytes === 8) this.#bytes.writeBigUInt64BE(value, at);
    else {
      this.#bytes.writeBigUInt64BE(value >> 64n, at);
      this.#bytes.writeBigUInt64BE(value & 0xffff_ffff_ffff_ffffn, at + 8);
    }
  }

  bytes(data: Uint8Array): void {
    const at = this.#grow(data.length);
    this.#bytes.set(data, at);
  }

  /** Zeros. */
  pad(count: number): void {
    this.#grow(count);
  }

  /** Zeros up to a multiple of 8 bytes since `start`. */
  align(start: number): void {
    this.pad(-(this.#at - start) & 7);
  }

  /** Overwrites what was written before. */
  patch16(at: number, value: number): void {
    this.#bytes.writeUInt16BE(value, at);
  }

  /** Everything written since `start`; valid until the next write. */
  view(start = 0): Buffer {
    return this.#bytes.subarray(start, this.#at);
  }

  /** Ends the use of this writer. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  #grow(count: number): number {
    const at = this.#at;
    this.#at += count;
    if (this.#at > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(2 * this.#bytes.length, this.#at));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}
