/**
 * Whether a guest has read all that was sent to it: it answers an ARP request sent last. What the guest has read moves with
 * its memory; what still lies in a socket or in QEMU when the guest stops is lost.
 */
import type { Switch } from '../switch/index.ts';
import { isPresenceReply, presenceRequest } from '../switch/services/index.ts';
import type { GuestAttachment } from './guest-attachment.ts';

/**
 * Longest wait, milliseconds. A guest that does not get to run can be half a second behind with what was sent to it; it
 * runs on and answers meanwhile, so waiting costs it nothing. One without ARP holds up its own switchover so long.
 */
const DRAIN_MS = 600;

export class Presence {
  readonly #owner: Switch;
  readonly #waiting = new Map<GuestAttachment, () => void>();

  constructor(owner: Switch) {
    this.#owner = owner;
  }

  /** @returns whether the guest has said so in time. */
  async drained(guest: GuestAttachment): Promise<boolean> {
    const { port } = guest;
    if (port === undefined || !port.connected || guest.gated) return false;
    return await new Promise<boolean>((resolve) => {
      const finish = (drained: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(guest);
        resolve(drained);
      };
      const timer = setTimeout(() => finish(false), DRAIN_MS);
      this.#waiting.set(guest, () => finish(true));
      this.#owner.sendFrames(port.number, [presenceRequest(guest.gateway)]);
    });
  }

  /** A frame of the guest's to the gateway. */
  heard(guest: GuestAttachment | undefined, frame: Buffer): void {
    if (guest === undefined || this.#waiting.size === 0) return;
    if (isPresenceReply(frame, guest.gateway)) this.#waiting.get(guest)?.();
  }
}
