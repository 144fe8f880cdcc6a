/**
 * The clipboard of a guest, as its screen's viewer has a part in it: text crosses when the other side asks for it, and the
 * guest is asked only while a person is at its screen. After a handoff what was offered is offered again.
 */
// Past its index: the schemas stay where `no-code-from-text.ts` comes before them.
import {
  type ClipboardMessage,
  clipboardMessage,
  deflatedText,
  fitsClipboard,
  MAX_CLIPBOARD_TEXT,
} from '../../api/rfb-clipboard.ts';
import type { ScreenNote } from '../../api/schema.ts';

export type ClipboardState =
  /** Not known yet. */
  | { readonly kind: 'unknown' }
  /** The guest was made without one. */
  | { readonly kind: 'none' }
  /** Nothing in the guest takes part; `problem`: what it has done wrong. */
  | { readonly kind: 'absent'; readonly problem: string | null }
  | { readonly kind: 'ready' };

export interface ScreenClipboardOptions {
  readonly changed: (state: ClipboardState) => void;
  /** Text that somebody has copied in the guest. */
  readonly copied: (text: string) => void;
}

/** Sends on one connection. */
type Send = (bytes: Uint8Array) => void;

export class ScreenClipboard {
  readonly #options: ScreenClipboardOptions;
  #send: Send | undefined;
  #state: ClipboardState = { kind: 'unknown' };
  /** What the guest can have of ours. */
  #offered: string | undefined;
  /** The text that crossed last, in either direction: it is not offered back. */
  #last = '';
  #attended = false;
  /** The guest has text that was not asked for yet. */
  #isNew = false;
  #pieces: string[] = [];
  #length = 0;

  constructor(options: ScreenClipboardOptions) {
    this.#options = options;
  }

  /** A person is at the screen. */
  set attended(attended: boolean) {
    this.#attended = attended;
    this.#askIfNew();
  }

  /** A connection says what the guest has. */
  opened(hasPort: boolean): void {
    this.#send = undefined;
    if (!hasPort) this.#change({ kind: 'none' });
  }

  /** The connection takes messages from now on. */
  joined(send: Send): void {
    if (this.#state.kind === 'none') return;
    this.#send = send;
    [this.#pieces, this.#length, this.#isNew] = [[], 0, false];
    this.#say({ kind: 'peek' });
    if (this.#offered !== undefined) this.#say({ kind: 'notify', has: true });
  }

  /** The guest can have the text, unless it crossed last or is too long; `again`: a person wants it to. */
  offer(text: string, again = false): void {
    if (text === '' || !fitsClipboard(text) || (text === this.#last && !again)) return;
    this.#last = text;
    this.#offered = text;
    this.#isNew = false;
    this.#say({ kind: 'notify', has: true });
  }

  heard(note: ScreenNote): void {
    switch (note.kind) {
      case 'clipboard':
        this.#change(note.ready ? { kind: 'ready' } : { kind: 'absent', problem: note.problem });
        return;
      case 'copied':
        this.#offered = undefined;
        this.#isNew = true;
        this.#askIfNew();
        return;
      case 'wanted':
        void this.#provide();
        return;
      case 'text':
        this.#take(note.piece, note.more);
    }
  }

  #askIfNew(): void {
    if (!this.#attended || !this.#isNew || this.#send === undefined) return;
    this.#isNew = false;
    this.#say({ kind: 'request' });
  }

  async #provide(): Promise<void> {
    const [text, send] = [this.#offered, this.#send];
    if (text === undefined) return;
    const deflated = await deflatedText(text);
    if (this.#offered === text && this.#send === send) this.#say({ kind: 'provide', deflated });
  }

  #take(piece: string, more: boolean): void {
    this.#length += piece.length;
    if (this.#length <= MAX_CLIPBOARD_TEXT) this.#pieces.push(piece);
    if (more) return;
    const text = this.#length <= MAX_CLIPBOARD_TEXT ? this.#pieces.join('') : '';
    [this.#pieces, this.#length] = [[], 0];
    if (text === '') return;
    this.#last = text;
    this.#options.copied(text);
  }

  #say(message: ClipboardMessage): void {
    this.#send?.(clipboardMessage(message));
  }

  #change(state: ClipboardState): void {
    this.#state = state;
    this.#options.changed(state);
  }
}
