/** How long a seal counts at the destination (`messages.ts`). */
import { randomUUID } from 'node:crypto';
import { uptime as hostUptime } from 'node:os';
import { SEAL_VALID_MS } from './messages.ts';
import type { Clock } from './ports.ts';

/**
 * The steady clock (CLOCK_MONOTONIC) would stand still while this host is asleep. The uptime counts sleep, but not the time
 * that a virtual machine is stopped, and the wall clock may be set back: whichever has gone further counts.
 */
interface Moment {
  readonly wall: number;
  readonly uptime: number;
}

export class SealValidity {
  readonly #now: Clock;
  readonly #uptime: Clock;
  #valid: { readonly confirmation: string | null; readonly since: Moment } | undefined;

  constructor(now: Clock, uptime: Clock = () => hostUptime() * 1000) {
    this.#now = now;
    this.#uptime = uptime;
  }

  /** The guest is complete: from now on a seal counts without a confirmation. */
  open(): void {
    this.#valid = { confirmation: null, since: this.#moment() };
  }

  /** What the next seal has to be confirmed with; it counts from now on. */
  confirm(): string {
    const confirmation = randomUUID();
    this.#valid = { confirmation, since: this.#moment() };
    return confirmation;
  }

  counts(confirmation: string | null): boolean {
    const valid = this.#valid;
    const known = confirmation === null || confirmation === valid?.confirmation;
    if (valid === undefined || !known) return false;
    const { wall, uptime } = this.#moment();
    return Math.max(wall - valid.since.wall, uptime - valid.since.uptime) <= SEAL_VALID_MS;
  }

  #moment(): Moment {
    return { wall: this.#now(), uptime: this.#uptime() };
  }
}
