/**
 * What the guest's mirror has written and the stream has not taken yet, bounded in bytes. The mirror's writes are
 * acknowledged when they are here, never later: QEMU never waits for the network. Where the network
 * cannot follow, the mirror is paused between the marks (then the changes stay in QEMU's own dirty bitmap, which is
 * bounded); where that comes too late, the write fails, the mirror ends, and the guest notices nothing.
 */
import { type DiskOperation, OPERATION_HEADER_BYTES } from './disk-operation.ts';
import { type NbdBackend, NbdErrno, NbdRequestError } from './nbd/index.ts';

/** Bytes in the journal beyond which writes fail with ENOSPC. */
export const JOURNAL_CAPACITY_BYTES = 64 * 1024 * 1024;
/**
 * The mirror is paused at the high mark and goes on at the low one. Between high mark and capacity lies more
 * than what a paused mirror may still have under way (MIRROR_BUFFER_BYTES).
 */
export const JOURNAL_HIGH_BYTES = 24 * 1024 * 1024;
export const JOURNAL_LOW_BYTES = 4 * 1024 * 1024;

export interface JournalMarks {
  readonly capacity: number;
  readonly high: number;
  readonly low: number;
}

const DEFAULT_MARKS: JournalMarks = {
  capacity: JOURNAL_CAPACITY_BYTES,
  high: JOURNAL_HIGH_BYTES,
  low: JOURNAL_LOW_BYTES,
};

export class DiskJournal implements NbdBackend {
  readonly size: number;
  /** Called when the high mark is passed upwards (true) and the low mark downwards (false). */
  onPressure: (pressed: boolean) => void = () => undefined;
  readonly #marks: JournalMarks;
  #queue: DiskOperation[] = [];
  #bytes = 0;
  #accepted = 0;
  #acceptedBytes = 0;
  #pressed = false;
  #ended = false;
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  /** `size`: of the disk, bytes. */
  constructor(size: number, marks: JournalMarks = DEFAULT_MARKS) {
    this.size = size;
    this.#marks = marks;
  }

  /** Bytes that wait here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Operations ever accepted; the destination counts the same way. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Bytes ever accepted, headers included. */
  get acceptedBytes(): number {
    return this.#acceptedBytes;
  }

  write(offset: number, data: Buffer): void {
    if (data.length > 0) this.#push({ type: 'write', offset, data });
  }

  writeZeroes(offset: number, length: number, mayPunchHole: boolean): void {
    if (length > 0) this.#push({ type: mayPunchHole ? 'zero' : 'zero-allocated', offset, length });
  }

  trim(offset: number, length: number): void {
    if (length > 0) this.#push({ type: 'trim', offset, length });
  }

  flush(): void {
    this.#push({ type: 'flush' });
  }

  /** The mirror has finished: nothing will follow. */
  end(): void {
    this.#push({ type: 'end' });
    this.#ended = true;
  }

  /** Whoever waits for operations gets this error instead. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** The oldest operation, in order; waits for one. undefined after `end`. One taker at a time. */
  async take(): Promise<DiskOperation | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const next = this.#queue.shift();
      if (next !== undefined) {
        this.#bytes -= sizeOf(next);
        if (this.#pressed && this.#bytes <= this.#marks.low) {
          this.#pressed = false;
          this.onPressure(false);
        }
        return next;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #push(operation: DiskOperation): void {
    if (this.#ended) throw new NbdRequestError('a write after the end', NbdErrno.EIO);
    const size = sizeOf(operation);
    if (this.#bytes + size > this.#marks.capacity) {
      throw new NbdRequestError('a write into the full journal', NbdErrno.ENOSPC);
    }
    this.#queue.push(operation);
    this.#bytes += size;
    this.#accepted += 1;
    this.#acceptedBytes += size;
    if (!this.#pressed && this.#bytes >= this.#marks.high) {
      this.#pressed = true;
      this.onPressure(true);
    }
    this.#wake();
  }
}

function sizeOf(operation: DiskOperation): number {
  return OPERATION_HEADER_BYTES + (operation.type === 'write' ? operation.data.length : 0);
}
