/**
 * One viewer, joined to the VNC socket of a guest that runs here.
 *
 *   flowing <──hold, goOn──> held ──moved──> over        `over` is reached from everywhere, once
 *
 * While held nothing that the viewer sends reaches the guest: it is about to stop here, and what came too late would
 * be lost with its QEMU. If it stays it gets everything then; if it has moved the viewer is told how much it got.
 */
import type { Duplex } from 'node:stream';
import type { PlaceRef } from '../../api/index.ts';
import { noteFrame, pictureFrames, RfbMessages, type ScreenNote } from '../../api/index.ts';
import { SojournError, toWireError } from '../../common/index.ts';

/** Input that waits while the guest leaves, bytes; nothing more is read from the viewer above it. */
const MAX_HELD_BYTES = 64 << 10;
/** A display that ends while held is the guest's move, of which we are told in this time, ms. */
const MOVE_PATIENCE_MS = 10_000;
/** How often a viewer is told what was taken, ms. */
const TELL_MS = 100;

export interface ViewingOptions {
  /** Frames to the viewer, RFB from it. */
  readonly viewer: Duplex;
  /** The guest's VNC socket, connected. */
  readonly display: Duplex;
  readonly place: PlaceRef;
  readonly guestName: string;
}

export class Viewing {
  readonly #options: ViewingOptions;
  readonly #messages = new RfbMessages();
  readonly #waiting: Uint8Array[] = [];
  /** Resolves when it is over, with everything closed. */
  readonly ended: Promise<void>;
  readonly #ended = Promise.withResolvers<void>();
  #state: 'flowing' | 'held' | 'over' = 'flowing';
  #taken = 0;
  #told = 0;
  #tell: NodeJS.Timeout | undefined;
  #patience: NodeJS.Timeout | undefined;

  constructor(options: ViewingOptions) {
    const { viewer, display, place } = options;
    this.#options = options;
    this.ended = this.#ended.promise;
    this.#say({ kind: 'open', place });
    viewer.on('data', (chunk: Buffer) => this.#fromViewer(chunk));
    viewer.on('drain', () => display.resume());
    viewer.on('error', () => this.#close());
    viewer.on('end', () => this.#close());
    viewer.on('close', () => this.#close());
    display.on('data', (chunk: Buffer) => this.#fromDisplay(chunk));
    display.on('drain', () => {
      if (this.#state === 'flowing') viewer.resume();
    });
    // Its end is what matters, and that comes as well.
    display.on('error', () => undefined);
    display.on('close', () => this.#displayEnded());
  }

  hold(): void {
    if (this.#state !== 'flowing') return;
    this.#state = 'held';
    this.#say({ kind: 'held' });
  }

  goOn(): void {
    if (this.#state !== 'held') return;
    this.#state = 'flowing';
    clearTimeout(this.#patience);
    if (this.#options.display.destroyed) {
      this.#over(null, displayGone(this.#options));
      return;
    }
    for (const message of this.#waiting.splice(0)) this.#pass(message);
    this.#options.viewer.resume();
    this.#say({ kind: 'going-on' });
  }

  moved(to: PlaceRef): void {
    this.#over(to, null);
  }

  /** @param error why this place shows it no longer */
  end(error: SojournError): void {
    this.#over(null, error);
  }

  #fromViewer(chunk: Buffer): void {
    if (this.#state === 'over') return;
    try {
      for (const { bytes } of this.#messages.push(chunk)) {
        if (this.#state === 'held') this.#waiting.push(bytes);
        else this.#pass(bytes);
      }
    } catch (error) {
      this.#over(null, unreadable(error));
      return;
    }
    const waiting = this.#waiting.reduce((sum, { length }) => sum + length, 0);
    const full = waiting > MAX_HELD_BYTES || this.#options.display.writableNeedDrain;
    if (full) this.#options.viewer.pause();
  }

  #pass(message: Uint8Array): void {
    this.#options.display.write(message);
    this.#taken += message.length;
    this.#tell ??= setTimeout(() => {
      this.#tell = undefined;
      if (this.#state === 'over' || this.#told === this.#taken) return;
      this.#told = this.#taken;
      this.#say({ kind: 'taken', bytes: this.#taken });
    }, TELL_MS);
  }

  #fromDisplay(chunk: Buffer): void {
    const { viewer, display } = this.#options;
    if (viewer.destroyed || this.#state === 'over') return;
    for (const piece of pictureFrames(chunk)) viewer.write(piece);
    if (viewer.writableNeedDrain) display.pause();
  }

  #displayEnded(): void {
    const end = () => this.#over(null, displayGone(this.#options));
    if (this.#state === 'held') this.#patience ??= setTimeout(end, MOVE_PATIENCE_MS);
    else end();
  }

  #over(to: PlaceRef | null, error: SojournError | null): void {
    if (this.#state === 'over') return;
    this.#say({
      kind: 'over',
      bytes: this.#taken,
      to,
      error: error === null ? null : toWireError(error),
    });
    this.#state = 'over';
    this.#options.viewer.end();
    this.#settle();
  }

  /** The viewer has gone. */
  #close(): void {
    this.#state = 'over';
    this.#options.viewer.destroy();
    this.#settle();
  }

  #settle(): void {
    clearTimeout(this.#tell);
    clearTimeout(this.#patience);
    this.#waiting.length = 0;
    this.#options.display.destroy();
    this.#ended.resolve();
  }

  #say(note: ScreenNote): void {
    const { viewer } = this.#options;
    if (!viewer.destroyed && !viewer.writableEnded) viewer.write(noteFrame(note));
  }
}

function displayGone({ guestName, place }: ViewingOptions): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'not-running',
    message: `${guestName} does not run at ${place.name} any more`,
    remedy: `See "sojourn guest show ${guestName}"`,
  });
}

function unreadable(cause: unknown): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'screen-malformed',
    message: 'What the viewer of a screen sent cannot be understood',
    remedy: 'Use the window of this version, or a viewer without extensions of its own',
    cause,
  });
}
