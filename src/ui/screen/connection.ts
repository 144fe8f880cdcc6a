/** One connection to a guest's display: noVNC on our stream instead of a WebSocket of its own. */
import RFB, { type RawChannel } from '@novnc/novnc';
// Past its index: the schemas stay where `no-code-from-text.ts` comes before them.
import { RfbMessages } from '../../api/rfb-client-messages.ts';
import type { PlaceRef } from '../../api/schema.ts';
import type { ScreenLink } from '../transport.ts';
import { FirstPicture } from './first-picture.ts';

export interface ConnectionEvents {
  /** A person typed or pointed. */
  readonly input: (message: Uint8Array) => void;
  /** The first picture is complete. */
  readonly seen: () => void;
  /** Text of the guest's display about itself: anybody's text. */
  readonly named: (name: string) => void;
  /** What the display says is no RFB. */
  readonly broken: () => void;
}

export class Connection {
  readonly pane: HTMLElement;
  readonly rfb: RFB;
  readonly place: PlaceRef;
  /** Bytes sent on it. */
  offset = 0;
  /** Its picture is complete: input may go. */
  live = false;
  #over = false;
  readonly #channel: Channel;
  readonly #first = new FirstPicture();
  /** Updates that were taken, as far as what was asked for next tells. */
  #updates = 0;

  constructor(target: HTMLElement, place: PlaceRef, link: ScreenLink, events: ConnectionEvents) {
    this.place = place;
    this.pane = document.createElement('div');
    this.pane.className = 'screen-pane';
    target.append(this.pane);
    const messages = new RfbMessages();
    this.#channel = new Channel((chunk) => {
      for (const { bytes, kind } of messages.push(chunk)) {
        if (kind === 'input') events.input(bytes);
        // What noVNC says of clipboards is not meant for this side of ours.
        else if (kind !== 'clipboard') this.#send(link, bytes);
        // An update is asked for on top of what is shown only when that is complete.
        if (kind === 'request' && bytes[1] === 1) this.#updates += 1;
        const { updatesBefore = Number.POSITIVE_INFINITY } = this.#first;
        if (this.#updates > updatesBefore && !this.live && !this.#over) {
          this.live = true;
          events.seen();
        }
      }
    });
    this.rfb = new RFB(this.pane, this.#channel, { shared: true });
    this.rfb.scaleViewport = true;
    this.rfb.background = 'transparent';
    this.rfb.addEventListener('desktopname', (event) => events.named(detailOf(event, 'name')));
    for (const fault of ['disconnect', 'securityfailure', 'credentialsrequired'])
      this.rfb.addEventListener(fault, () => {
        if (!this.#over) events.broken();
      });
    this.send = (bytes) => this.#send(link, bytes);
  }

  readonly send: (bytes: Uint8Array) => void;

  picture(bytes: Uint8Array): void {
    this.#first.push(bytes);
    this.#channel.receive(bytes);
  }

  /** From now on it is only a picture, whose input goes elsewhere. */
  end(): void {
    this.#over = true;
  }

  /** Lets go of the picture. */
  close(): void {
    this.#over = true;
    this.rfb.disconnect();
    this.pane.remove();
  }

  #send(link: ScreenLink, bytes: Uint8Array): void {
    if (this.#over) return;
    this.offset += bytes.length;
    link.send(bytes);
  }
}

/** What noVNC takes for an open WebSocket. */
class Channel implements RawChannel {
  binaryType = 'arraybuffer';
  protocol = '';
  readyState: RawChannel['readyState'] = 'open';
  onopen: RawChannel['onopen'] = null;
  onmessage: RawChannel['onmessage'] = null;
  onclose: RawChannel['onclose'] = null;
  onerror: RawChannel['onerror'] = null;
  readonly #sent: (chunk: Uint8Array) => void;

  constructor(sent: (chunk: Uint8Array) => void) {
    this.#sent = sent;
  }

  send(bytes: Uint8Array): void {
    // Its buffer is used again for the next message.
    this.#sent(bytes.slice());
  }

  receive(bytes: Uint8Array): void {
    if (this.readyState !== 'open') return;
    const data = bytes.slice().buffer as ArrayBuffer;
    this.onmessage?.({ data });
  }

  close(): void {
    if (this.readyState !== 'open') return;
    this.readyState = 'closed';
    queueMicrotask(() => this.onclose?.({ code: 1000, reason: '', wasClean: true }));
  }
}

/** Longest name that is taken, characters. */
const MAX_TEXT = 256;

function detailOf(event: Event, field: string): string {
  const detail: unknown = (event as CustomEvent).detail;
  const text = (detail as Readonly<Record<string, unknown>> | null)?.[field];
  return typeof text === 'string' ? text.slice(0, MAX_TEXT) : '';
}
