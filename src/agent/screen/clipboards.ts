/** The clipboards of the guests that run here: each is there for as long as its QEMU runs, whether somebody looks or not. */
import { guestPaths, VdagentPort } from '../../guest/index.ts';
import { hasClipboard } from '../../guest/spec.ts';
import type { GuestFiles } from '../guests/guest-files.ts';
import type { Guests, LiveGuest } from '../guests/guests.ts';
import { GuestClipboard } from './guest-clipboard.ts';

/** A guest that has just arrived is busy; its port is opened after this, ms. */
const OPEN_AFTER_MS = 250;

export interface ClipboardsOptions {
  readonly guests: Guests;
  readonly files: GuestFiles;
}

export class Clipboards {
  readonly #options: ClipboardsOptions;
  #closed = false;
  readonly #open = new Map<string, { live: LiveGuest; clipboard: GuestClipboard }>();

  constructor(options: ClipboardsOptions) {
    this.#options = options;
    options.guests.on('changed', (guestId) => this.of(guestId));
  }

  /** Undefined for a guest that has none, or does not run here. */
  of(guestId: string): GuestClipboard | undefined {
    const { guests, files } = this.#options;
    const live = guests.live(guestId);
    const known = this.#open.get(guestId);
    if (known !== undefined && known.live === live) return known.clipboard;
    known?.clipboard.close();
    this.#open.delete(guestId);
    // What waits for a handoff learns of a closed port when it arrives: its agent begins anew then.
    if (this.#closed || live === undefined || live.phase.kind === 'incoming') return undefined;
    if (!hasClipboard(live.spec.abi)) return undefined;
    const { vdagentSocket } = guestPaths(files.directory(live.spec));
    const clipboard = new GuestClipboard(new VdagentPort(vdagentSocket, OPEN_AFTER_MS));
    this.#open.set(guestId, { live, clipboard });
    return clipboard;
  }

  close(): void {
    this.#closed = true;
    for (const { clipboard } of this.#open.values()) clipboard.close();
    this.#open.clear();
  }
}
