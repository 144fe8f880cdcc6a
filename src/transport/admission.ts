/**
 * Limits what strangers can hold open. A connection is a stranger's from TCP accept until its HELLO has
 * been accepted, on a tunnel until its certificate has. When there are too many, the oldest goes: an honest peer needs a few round trips, whoever
 * stalls on purpose loses the place.
 */
import type { Socket } from 'node:net';

export interface AdmissionLimits {
  /** Strangers at a time, in all and from one address. */
  readonly total: number;
  readonly perAddress: number;
  /** From TCP accept to an accepted HELLO, ms. */
  readonly deadlineMs: number;
}

export const ADMISSION: AdmissionLimits = { total: 64, perAddress: 16, deadlineMs: 10_000 };

interface Stranger {
  readonly socket: Socket;
  readonly address: string;
  readonly timer: NodeJS.Timeout;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  /** In order of arrival. */
  readonly #strangers = new Map<string, Stranger>();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get strangers(): number {
    return this.#strangers.size;
  }

  /** A TCP connection was accepted. */
  arrived(socket: Socket): void {
    const address = socket.remoteAddress;
    if (address === undefined) {
      socket.destroy();
      return;
    }
    const key = keyOf(socket);
    const timer = setTimeout(() => this.#evict(key), this.#limits.deadlineMs);
    this.#strangers.set(key, { socket, address, timer });
    socket.once('close', () => this.known(key));
    const same = [...this.#strangers].filter(([, stranger]) => stranger.address === address);
    if (same.length > this.#limits.perAddress) this.#evict(same[0]?.[0]);
    else if (this.#strangers.size > this.#limits.total)
      this.#evict(this.#strangers.keys().next().value);
  }

  /** The connection is no stranger's any more, or is closed. */
  known(key: string): void {
    clearTimeout(this.#strangers.get(key)?.timer);
    this.#strangers.delete(key);
  }

  /** Ends all that are still strangers. */
  close(): void {
    for (const key of [...this.#strangers.keys()]) this.#evict(key);
  }

  #evict(key: string | undefined): void {
    if (key === undefined) return;
    const stranger = this.#strangers.get(key);
    this.known(key);
    stranger?.socket.destroy();
  }
}

/** The same for a TCP socket and the TLS socket over it. */
export function keyOf(socket: Socket): string {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
