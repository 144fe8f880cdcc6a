/**
 * Lets QEMU's stream through, or keeps it where it is. While it is shut the migration thread of QEMU soon waits in its
 * write: nothing runs and nothing is lost, and the guest does not notice (`upkeep.ts`).
 */
import { Transform, type TransformCallback } from 'node:stream';

export class Gate extends Transform {
  #open = true;
  #waiting: (() => void) | undefined;

  constructor() {
    // The smallest marks: what waits here or in the socket's buffer has been made by passes that nobody asked for.
    super({ writableHighWaterMark: 1, readableHighWaterMark: 1 });
  }

  open(): void {
    this.#open = true;
    const pass = this.#waiting;
    this.#waiting = undefined;
    pass?.();
  }

  shut(): void {
    this.#open = false;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    if (this.#open) done(null, chunk);
    else this.#waiting = () => done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    if (this.#open) done();
    else this.#waiting = () => done();
  }
}
