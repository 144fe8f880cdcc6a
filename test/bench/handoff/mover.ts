/** What the bench asks of a way to move a guest; an implementation belongs to one cell and ends with its lab. */
import type { Evidence } from '../../demo/evidence.ts';
import type { Lab } from '../../lab/index.ts';

export interface MoverOptions {
  readonly lab: Lab;
  readonly evidence: Evidence;
  /** Aborted when the cell has taken too long, or the bench is interrupted. */
  readonly signal: AbortSignal;
  /** For `move`, milliseconds. */
  readonly limitMs: number;
}

export interface StartedGuest {
  readonly address: string;
  /** Of the QEMU at the device. */
  readonly argv: readonly string[];
}

export interface Mover {
  /** Boots the guest at the device; it may not answer yet when this resolves. */
  start(): Promise<StartedGuest>;
  /** Gets ready at the destination while the link is good; absent where nothing can be done ahead. */
  arm?(): Promise<void>;
  /** Moves the guest to the site. Resolves when the call that began it has returned. */
  move(): Promise<void>;
  /** What is still to be copied, bytes; NaN while nobody knows. */
  leftBytes(): Promise<number>;
  /** Puts into the evidence what a user is told at the moment, an estimate of the move among it. */
  noteStatus?(): Promise<void>;
  /** Puts what was logged elsewhere into the evidence; may be called again. */
  collect?(): void;
}
