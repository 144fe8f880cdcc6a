/**
 * The screen of one guest, wherever it runs: a new connection is made behind the last picture, which stands until the new
 * one is complete. What is typed on it meanwhile waits, and goes to the guest at its new place.
 */

// Past its index: the schemas stay where `no-code-from-text.ts` comes before them.
import { pressed, releaseOf } from '../../api/rfb-keys.ts';
import type { ScreenNote } from '../../api/schema.ts';
import { type InputLog, lost, noInput, sent, taken, typed } from '../model/screen-input.ts';
import {
  firstScreen,
  retryDelayMs,
  type ScreenChange,
  type ScreenState,
  stepScreen,
} from '../model/screen-state.ts';
import type { ScreenEvent, ScreenLink } from '../transport.ts';
import { type ClipboardState, ScreenClipboard } from './clipboard.ts';
import { Connection } from './connection.ts';
import { keysOf } from './keys.ts';

export interface ViewerOptions {
  /** Empty, and ours from now on. */
  readonly target: HTMLElement;
  /** A connection to the guest's display. */
  readonly open: (onEvent: (event: ScreenEvent) => void) => ScreenLink;
  /** `waiting`: inputs that the guest will get later; `refused`: some that it will not. */
  readonly changed: (state: ScreenState, input: { waiting: number; refused: number }) => void;
  readonly clipboard: (state: ClipboardState) => void;
  /** Text that somebody has copied in the guest. */
  readonly copied: (text: string) => void;
  readonly named: (name: string) => void;
}

/** One stream, from its opening to its end. */
interface Attempt {
  link: ScreenLink | undefined;
  connection: Connection | undefined;
  over: boolean;
}

export class Viewer {
  readonly #options: ViewerOptions;
  #state: ScreenState = firstScreen;
  #input: InputLog = noInput;
  /** Presses without a release so far, by key. */
  #pressed: ReadonlyMap<string, Uint8Array> = new Map();
  readonly #clipboard: ScreenClipboard;
  #attempt: Attempt | undefined;
  #shown: Connection | undefined;
  #tries = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #scaled = true;
  #closed = false;

  constructor(options: ViewerOptions) {
    this.#options = options;
    const { clipboard: changed, copied } = options;
    this.#clipboard = new ScreenClipboard({ changed, copied });
    this.#open();
  }

  get scaled(): boolean {
    return this.#scaled;
  }

  /** Fits the picture to its frame, or shows each of its points as one. */
  set scaled(scaled: boolean) {
    this.#scaled = scaled;
    for (const connection of [this.#shown, this.#attempt?.connection]) this.#fit(connection);
  }

  focus(): void {
    this.#shown?.rfb.focus();
  }

  ctrlAltDel(): void {
    this.#shown?.rfb.sendCtrlAltDel();
  }

  /** Somebody is at the screen, or not any more. */
  attend(attended: boolean): void {
    this.#clipboard.attended = attended;
  }

  /** Into the guest's clipboard, where it takes part; `again`: also what crossed last. */
  offer(text: string, again = false): void {
    this.#clipboard.offer(text, again);
  }

  /** Key by key, as on a US keyboard; for guests whose clipboard takes no part. */
  type(text: string): void {
    for (const { keysym, down } of keysOf(text)) this.#shown?.rfb.sendKey(keysym, null, down);
  }

  /** After a failure that only a person could end. */
  again(): void {
    if (this.#state.kind !== 'failed') return;
    this.#change({ kind: 'again' });
    this.#open();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#shown?.close();
    if (this.#attempt !== undefined) this.#end(this.#attempt);
    this.#attempt?.connection?.close();
  }

  #open(): void {
    if (this.#closed) return;
    const attempt: Attempt = { link: undefined, connection: undefined, over: false };
    this.#attempt = attempt;
    attempt.link = this.#options.open((event) => this.#heard(attempt, event));
  }

  #heard(attempt: Attempt, event: ScreenEvent): void {
    if (attempt.over) return;
    if (event.kind === 'picture') attempt.connection?.picture(event.bytes);
    else if (event.kind === 'note') this.#noted(attempt, event.note);
    else this.#lose(attempt, undefined, { kind: 'ended', to: null, error: event.error });
  }

  #noted(attempt: Attempt, note: ScreenNote): void {
    switch (note.kind) {
      case 'open':
        attempt.connection ??= this.#connect(attempt, note.place);
        this.#clipboard.opened(note.clipboard);
        return;
      case 'taken':
        this.#input = taken(this.#input, note.bytes);
        return;
      case 'held':
      case 'going-on':
        if (attempt.connection === this.#shown) this.#change({ kind: note.kind });
        return;
      case 'over':
        this.#lose(attempt, note.bytes, { kind: 'ended', to: note.to, error: note.error });
        return;
      default:
        this.#clipboard.heard(note);
    }
  }

  #connect(attempt: Attempt, place: Connection['place']): Connection | undefined {
    const { target, named } = this.#options;
    const link = attempt.link;
    if (link === undefined) return undefined;
    const connection = new Connection(target, place, link, {
      input: (message) => {
        this.#type(message);
        this.#flush();
      },
      seen: () => this.#show(connection),
      named,
      broken: () => this.#lose(attempt, undefined, { kind: 'ended', to: null, error: null }),
    });
    this.#fit(connection);
    return connection;
  }

  /** The picture of the new connection is complete: it takes the last one's place. */
  #show(connection: Connection): void {
    const old = this.#shown;
    const hadFocus = old?.pane.contains(document.activeElement) === true;
    this.#shown = connection;
    this.#tries = 0;
    if (old !== connection) old?.close();
    // The new one does not know which keys are down, and would never let go of them.
    for (const press of this.#pressed.values()) this.#type(releaseOf(press));
    connection.pane.classList.add('shown');
    this.#clipboard.joined(connection.send);
    if (hadFocus) connection.rfb.focus();
    this.#flush();
    this.#change({ kind: 'seen', place: connection.place });
  }

  #type(message: Uint8Array): void {
    this.#input = typed(this.#input, message);
    this.#pressed = pressed(this.#pressed, message);
  }

  #flush(): void {
    const connection = this.#attempt?.connection;
    if (connection?.live && !this.#attempt?.over) {
      const { waiting } = this.#input;
      this.#input = sent(this.#input, connection.offset);
      for (const message of waiting) connection.send(message);
    }
    this.#tell();
  }

  /** @param bytes what the display has had, where that is known */
  #lose(
    attempt: Attempt,
    bytes: number | undefined,
    change: ScreenChange & { kind: 'ended' },
  ): void {
    if (attempt.over) return;
    this.#end(attempt);
    this.#input = lost(this.#input, bytes);
    if (attempt.connection !== this.#shown) attempt.connection?.close();
    this.#change(change);
    if (this.#closed || this.#state.kind === 'failed') return;
    const delayMs = retryDelayMs(this.#tries, change.to !== null);
    this.#tries += 1;
    this.#retry = setTimeout(() => this.#open(), delayMs);
  }

  #end(attempt: Attempt): void {
    attempt.over = true;
    attempt.connection?.end();
    attempt.link?.close();
  }

  #fit(connection: Connection | undefined): void {
    if (connection === undefined) return;
    connection.rfb.scaleViewport = this.#scaled;
  }

  #change(change: ScreenChange): void {
    this.#state = stepScreen(this.#state, change);
    this.#tell();
  }

  #tell(): void {
    const { waiting, refused } = this.#input;
    this.#options.changed(this.#state, { waiting: waiting.length, refused });
  }
}
