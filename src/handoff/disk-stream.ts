/** Both ends of a `handoff.disk` channel: journal -> zstd -> channel, and channel -> zstd -> NBD in order. */
import { pipeline } from 'node:stream/promises';
import { SojournError } from '../common/index.ts';
import { ByteReader } from './byte-reader.ts';
import { Coalesce } from './coalesce.ts';
import type { DiskJournal } from './disk-journal.ts';
import {
  type DiskOperation,
  encodeApplied,
  encodeOperation,
  readOperation,
} from './disk-operation.ts';
import { drainedOrClosed } from './drained.ts';
import { type NbdClient, NbdErrno, NbdRequestError } from './nbd/index.ts';
import type { ChannelPort } from './ports.ts';
import { zstdReader, zstdWriter } from './zstd-stream.ts';

/** Requests under way at the destination's QEMU, and their data, bytes. */
const MAX_APPLYING = 16;
const MAX_APPLYING_BYTES = 8 * 1024 * 1024;

/** Ships a journal; knows how much of it the destination has applied. */
export class DiskShipper {
  /** Rejects when the stream fails; resolves when all is applied after the journal's end. */
  readonly finished: Promise<void>;
  readonly #journal: DiskJournal;
  readonly #channel: ChannelPort;
  #applied = 0;

  constructor(journal: DiskJournal, channel: ChannelPort) {
    this.#journal = journal;
    this.#channel = channel;
    this.finished = Promise.all([this.#ship(), this.#receive()]).then(
      () => undefined,
      (error: Error) => {
        journal.fail(error);
        channel.destroy(error);
        throw error;
      },
    );
    // Whoever awaits `finished` sees the error; one who does not yet must not end the process.
    this.finished.catch(() => undefined);
  }

  /** Bytes that still have to cross the link: the journal (uncompressed) and what the channel holds. */
  get backlogBytes(): number {
    return this.#journal.bytes + this.#channel.bytesPending;
  }

  get bytesAcked(): number {
    return this.#channel.bytesAcked;
  }

  get operationsApplied(): number {
    return this.#applied;
  }

  async #ship(): Promise<void> {
    const zstd = zstdWriter();
    const piped = pipeline(zstd, this.#channel, { end: true });
    piped.catch((error: Error) => this.#journal.fail(error));
    for (;;) {
      const operation = await this.#journal.take();
      if (operation === undefined) break;
      if (!zstd.write(encodeOperation(operation))) await drainedOrClosed(zstd);
    }
    zstd.end();
    await piped;
  }

  async #receive(): Promise<void> {
    const reader = new ByteReader(this.#channel);
    for (;;) {
      const bytes = await reader.read(8);
      if (bytes === undefined) break;
      this.#applied = Math.min(Number(bytes.readBigUInt64BE(0)), this.#journal.accepted);
    }
  }
}

/**
 * Applies what comes, in the order in which it came wherever ranges overlap. Resolves after the end marker, when all is
 * applied and flushed. Rejects when the stream, the peer or the disk fails, with `destination-disk-full` when the disk has no
 * room left. The client stays open.
 */
export async function applyDisk(channel: ChannelPort, disk: NbdClient): Promise<void> {
  const zstd = zstdReader();
  const piped = pipeline(channel, new Coalesce(), zstd);
  piped.catch(() => undefined);
  const applier = new DiskApplier(disk, (count) => {
    if (channel.writable) channel.write(encodeApplied(count));
  });
  try {
    const reader = new ByteReader(zstd);
    for (;;) {
      const operation = await readOperation(reader, disk.size);
      if (operation === undefined) throw new Error('the disk stream ended before its end marker');
      await applier.apply(operation);
      if (operation.type === 'end') break;
    }
    channel.end();
    await piped;
  } catch (error) {
    const why = problemOf(error);
    channel.destroy(why);
    throw why;
  }
}

/** A used-up quota is this error, too: NBD has no other. The source's user reads it. */
function problemOf(error: unknown): Error {
  if (error instanceof NbdRequestError && error.errno === NbdErrno.ENOSPC)
    return new SojournError({
      kind: 'requirement',
      code: 'destination-disk-full',
      message: 'The other place has no room left for what the guest writes to its disk',
      remedy: 'Make room there, in memory or on disk, wherever changes of guests are kept',
      cause: error,
    });
  return error instanceof Error ? error : new Error(String(error));
}

interface Applying {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
  done: boolean;
  readonly settled: Promise<void>;
}

class DiskApplier {
  readonly #disk: NbdClient;
  readonly #onApplied: (count: number) => void;
  #under: Applying[] = [];
  #bytes = 0;
  #applied = 0;
  #failure: Error | undefined;

  constructor(disk: NbdClient, onApplied: (count: number) => void) {
    this.#disk = disk;
    this.#onApplied = onApplied;
  }

  /** Returns when the operation is under way, or done where order demands it. */
  async apply(operation: DiskOperation): Promise<void> {
    if (operation.type === 'flush' || operation.type === 'end') {
      await this.#until(() => this.#under.length === 0);
      await this.#disk.flush();
      this.#applied += 1;
      this.#onApplied(this.#applied);
      return;
    }
    const bytes = operation.type === 'write' ? operation.data.length : 0;
    const from = operation.offset;
    const to = from + (operation.type === 'write' ? bytes : operation.length);
    await this.#until(
      () =>
        this.#under.length < MAX_APPLYING &&
        (this.#bytes === 0 || this.#bytes + bytes <= MAX_APPLYING_BYTES) &&
        this.#under.every((other) => to <= other.from || other.to <= from),
    );
    const settled = this.#send(operation).then(
      () => this.#completed(entry),
      (error: Error) => {
        this.#failure ??= error;
      },
    );
    const entry: Applying = { from, to, bytes, done: false, settled };
    this.#under.push(entry);
    this.#bytes += bytes;
  }

  #send(operation: DiskOperation): Promise<void> {
    switch (operation.type) {
      case 'write':
        return this.#disk.write(operation.offset, operation.data);
      case 'zero':
        return this.#disk.writeZeroes(operation.offset, operation.length, true);
      case 'zero-allocated':
        return this.#disk.writeZeroes(operation.offset, operation.length, false);
      case 'trim':
        return this.#disk.trim(operation.offset, operation.length);
      case 'flush':
      case 'end':
        return this.#disk.flush();
    }
  }

  #completed(entry: Applying): void {
    entry.done = true;
    this.#bytes -= entry.bytes;
    this.#under = this.#under.filter((other) => other !== entry);
    this.#applied += 1;
    this.#onApplied(this.#applied);
  }

  async #until(condition: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (condition()) return;
      await Promise.race(this.#under.map((entry) => entry.settled));
    }
  }
}
