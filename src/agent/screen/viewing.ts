/**
 * One viewer, joined to the VNC socket of a guest that runs here.
 *
 *   flowing <──hold, goOn──> held ──moved──> over        `over` is reached from everywhere, once
 *
 * While held no input reaches the guest: it is about to stop here, and what came too late would be lost with its QEMU. If
 * it stays it gets everything then; if it has moved the viewer is told how much it got.
 */
import type { Duplex } from 'node:stream';
import type { PlaceRef } from '../../api/index.ts';
import {
  keyOf,
  noteFrame,
  pictureFrames,
  pressed,
  RfbMessages,
  releaseOf,
  type ScreenNote,
} from '../../api/index.ts';
import { SojournError, toWireError } from '../../common/index.ts';
import type { ClipboardSeat, GuestClipboard } from './guest-clipboard.ts';

/** Input that waits for its turn, or while the guest leaves, bytes; nothing more is read from the viewer above it. */
const MAX_WAITING_BYTES = 64 << 10;
/**
 * Between two keys, ms: a PS/2 keyboard keeps 16 bytes, some five keys, and a busy guest takes its time. What waits does so
 * here, and not in a queue of QEMU's, which a guest that leaves does not take along.
 */
const KEY_SPACING_MS = 30;
/** A display that ends while held is the guest's move, of which we are told in this time, ms. */
const MOVE_PATIENCE_MS = 10_000;
/** Not taken by the viewer, bytes; no text of a clipboard is fetched for it above. */
const MAX_UNTAKEN_BYTES = 1 << 20;
/** How often a viewer is told what was taken, ms. */
const TELL_MS = 100;

export interface ViewingOptions {
  /** Frames to the viewer, RFB from it. */
  readonly viewer: Duplex;
  /** The guest's VNC socket, connected. */
  readonly display: Duplex;
  readonly place: PlaceRef;
  readonly guestName: string;
  /** Undefined for a guest without one. */
  readonly clipboard?: GuestClipboard | undefined;
}

export class Viewing {
  readonly #options: ViewingOptions;
  readonly #messages = new RfbMessages();
  readonly #clipboard: ClipboardSeat | undefined;
  /** Input in its order. `start`: where in what the viewer has sent. */
  readonly #waiting: { readonly bytes: Uint8Array; readonly start: number }[] = [];
  /** Of whole messages, bytes. */
  #received = 0;
  /** When a key was passed on last. */
  #keyAt = Number.NEGATIVE_INFINITY;
  #turn: NodeJS.Timeout | undefined;
  /** Presses that the guest has had without their releases. */
  #down: ReadonlyMap<string, Uint8Array> = new Map();
  /** Resolves when it is over, with everything closed. */
  readonly ended: Promise<void>;
  readonly #ended = Promise.withResolvers<void>();
  #state: 'flowing' | 'held' | 'over' = 'flowing';
  #told = 0;
  #tell: NodeJS.Timeout | undefined;
  #patience: NodeJS.Timeout | undefined;

  constructor(options: ViewingOptions) {
    const { viewer, display, place, clipboard } = options;
    this.#options = options;
    this.ended = this.#ended.promise;
    this.#clipboard = clipboard?.join({
      say: (note) => this.#say(note),
      canTake: () => viewer.writableLength <= MAX_UNTAKEN_BYTES,
    });
    this.#say({ kind: 'open', place, clipboard: clipboard !== undefined });
    viewer.on('data', (chunk: Buffer) => this.#fromViewer(chunk));
    viewer.on('drain', () => display.resume());
    viewer.on('error', () => this.#close());
    viewer.on('end', () => this.#close());
    viewer.on('close', () => this.#close());
    display.on('data', (chunk: Buffer) => this.#fromDisplay(chunk));
    display.on('drain', () => this.#pass());
    // Its end is what matters, and that comes as well.
    display.on('error', () => undefined);
    display.on('close', () => this.#displayEnded());
  }

  hold(): void {
    if (this.#state !== 'flowing') return;
    this.#state = 'held';
    // QEMU over there takes no release of a key that it has not seen pressed: it would repeat for ever.
    for (const press of this.#down.values()) this.#options.display.write(releaseOf(press));
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
    this.#say({ kind: 'going-on' });
    for (const press of this.#down.values())
      if (keyOf(press)?.isModifier === true) this.#options.display.write(press);
    this.#pass();
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
      for (const { bytes, kind } of this.#messages.push(chunk)) {
        if (kind === 'input') this.#waiting.push({ bytes, start: this.#received });
        else if (kind === 'clipboard') this.#clipboard?.heard(bytes);
        else this.#options.display.write(bytes);
        this.#received += bytes.length;
      }
    } catch (error) {
      this.#over(null, unreadable(error));
      return;
    }
    this.#pass();
  }

  /** Of what the viewer has sent, how much the display has had: up to the first input that waits. */
  get #taken(): number {
    return this.#waiting[0]?.start ?? this.#received;
  }

  #pass(): void {
    const { viewer, display } = this.#options;
    while (this.#state === 'flowing' && this.#waiting[0] !== undefined) {
      const { bytes } = this.#waiting[0];
      const now = performance.now();
      const isKey = keyOf(bytes) !== undefined;
      const wait = isKey ? this.#keyAt + KEY_SPACING_MS - now : 0;
      if (wait > 0) {
        clearTimeout(this.#turn);
        this.#turn = setTimeout(() => this.#pass(), wait);
        break;
      }
      if (isKey) this.#keyAt = now;
      this.#down = pressed(this.#down, bytes);
      this.#waiting.shift();
      display.write(bytes);
    }
    const waiting = this.#waiting.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (waiting > MAX_WAITING_BYTES || display.writableNeedDrain) viewer.pause();
    else viewer.resume();
    this.#tellTaken();
  }

  #tellTaken(): void {
    if (this.#told === this.#taken) return;
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
    clearTimeout(this.#turn);
    clearTimeout(this.#patience);
    this.#clipboard?.leave();
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
