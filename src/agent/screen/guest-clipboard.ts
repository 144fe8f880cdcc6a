/**
 * The clipboard of one guest that runs here, joined to the viewers of its screen. Text is in memory for as long as it is
 * under way, and nowhere else: what a viewer offers stays with it until the guest asks.
 */
import { inflateSync } from 'node:zlib';
import {
  MAX_CLIPBOARD_TEXT,
  MAX_TEXT_PIECE,
  readClipboardMessage,
  type ScreenNote,
} from '../../api/index.ts';
import type { VdagentPort } from '../../guest/index.ts';

/** Length, text with each of its line ends as two bytes, NUL. */
const MAX_INFLATED_BYTES = 4 + 2 * MAX_CLIPBOARD_TEXT + 1;
/** Of what a guest has done wrong, characters. */
const MAX_PROBLEM = 200;

/** What the clipboard asks of a viewer's stream. */
export interface ClipboardViewer {
  readonly say: (note: ScreenNote) => void;
  /** It has taken what was said before, so that a text more does no harm. */
  readonly canTake: () => boolean;
}

/** A viewer's place at the clipboard. */
export interface ClipboardSeat {
  /** @throws Error for what no viewer says */
  heard(message: Uint8Array): void;
  leave(): void;
}

/** What is used of the guest's port. */
export type ClipboardPort = Pick<
  VdagentPort,
  'ready' | 'problem' | 'offer' | 'ask' | 'provide' | 'on' | 'close'
>;

interface Seat extends ClipboardViewer {
  takesPart: boolean;
  asks: boolean;
}

export class GuestClipboard {
  readonly #port: ClipboardPort;
  readonly #seats = new Set<Seat>();
  /** Whose text is offered to the guest. */
  #owner: Seat | undefined;

  constructor(port: ClipboardPort) {
    this.#port = port;
    port.on('ready', () => this.#tell(this.#state()));
    port.on('copied', () => {
      this.#owner = undefined;
      this.#tell({ kind: 'copied' });
    });
    port.on('wanted', () => {
      if (this.#owner === undefined) port.provide(null);
      else this.#owner.say({ kind: 'wanted' });
    });
    port.on('text', (text) => this.#answer(text));
  }

  join(viewer: ClipboardViewer): ClipboardSeat {
    const seat: Seat = { ...viewer, takesPart: false, asks: false };
    this.#seats.add(seat);
    return {
      heard: (message) => this.#heard(seat, message),
      leave: () => {
        this.#seats.delete(seat);
        this.#release(seat);
      },
    };
  }

  close(): void {
    this.#port.close();
  }

  #heard(seat: Seat, bytes: Uint8Array): void {
    const message = readClipboardMessage(bytes);
    switch (message?.kind) {
      case 'peek':
        seat.takesPart = true;
        seat.say(this.#state());
        return;
      case 'notify':
        if (message.has) this.#own(seat);
        else this.#release(seat);
        return;
      case 'request':
        if (!seat.takesPart || seat.asks || !seat.canTake()) return;
        seat.asks = true;
        this.#port.ask();
        return;
      case 'provide':
        if (this.#owner === seat) this.#port.provide(inflatedText(message.deflated));
    }
  }

  #own(seat: Seat): void {
    this.#owner = seat;
    this.#port.offer(true);
  }

  #release(seat: Seat): void {
    if (this.#owner !== seat) return;
    this.#owner = undefined;
    this.#port.offer(false);
  }

  #answer(text: string): void {
    for (const seat of this.#seats) {
      if (!seat.asks) continue;
      seat.asks = false;
      for (const note of pieces(text)) seat.say(note);
    }
  }

  #state(): ScreenNote {
    const problem = this.#port.problem?.slice(0, MAX_PROBLEM) ?? null;
    return { kind: 'clipboard', ready: this.#port.ready, problem };
  }

  #tell(note: ScreenNote): void {
    for (const seat of this.#seats) if (seat.takesPart) seat.say(note);
  }
}

function* pieces(text: string): Generator<ScreenNote> {
  let at = 0;
  do {
    const end = at + MAX_TEXT_PIECE;
    yield { kind: 'text', piece: text.slice(at, end), more: end < text.length };
    at = end;
  } while (at < text.length);
}

/** @throws Error for what is no text, or too long a one */
function inflatedText(deflated: Uint8Array): string {
  const data = inflateSync(deflated, { maxOutputLength: MAX_INFLATED_BYTES });
  const end = 4 + data.readUInt32BE(0);
  if (data.length < end) throw new Error('a text that is cut short');
  return data.toString('utf8', 4, end).replace(/\0$/, '').replaceAll('\r\n', '\n');
}
