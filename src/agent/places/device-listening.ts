/** A device listens for other devices only while one of them may bring a guest. */
import type { Logger } from 'pino';
import { errorText } from '../../common/index.ts';
import type { PeerListener } from '../../transport/index.ts';

export interface DeviceListeningOptions {
  /** The port that was listened on before: who is paired finds this device there. */
  readonly ownPort: { get(): number | undefined; put(port: number): void };
  readonly wanted: () => boolean;
  readonly listener: () => PeerListener;
  readonly changed: () => void;
  readonly log: Logger;
}

export class DeviceListening {
  readonly #options: DeviceListeningOptions;
  #listener: PeerListener | undefined;
  #port: number | undefined;
  #settling: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: DeviceListeningOptions) {
    this.#options = options;
  }

  /** Undefined while it does not listen. */
  get port(): number | undefined {
    return this.#port;
  }

  /** Begins or ends to listen, as is wanted now. Never rejects. */
  settle(): Promise<void> {
    this.#settling = this.#settling.then(() => this.#settle());
    return this.#settling;
  }

  /** The device is paired no more. */
  revoke(id: string): void {
    this.#listener?.revoke(id);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.settle();
  }

  async #settle(): Promise<void> {
    const { wanted, changed, log } = this.#options;
    const listens = !this.#closed && wanted();
    if (listens === (this.#listener !== undefined)) return;
    try {
      if (listens) await this.#begin();
      else await this.#end();
    } catch (error) {
      log.warn({ reason: errorText(error) }, 'not listening for other devices');
    }
    if (!this.#closed) changed();
  }

  async #begin(): Promise<void> {
    const { ownPort, listener: create } = this.#options;
    const listener = create();
    const before = ownPort.get();
    const { port } = await listener.listen({ port: before ?? 0 }).catch((error: unknown) => {
      if (before === undefined) throw error;
      // Something else has taken it.
      return listener.listen({ port: 0 });
    });
    if (port !== before) ownPort.put(port);
    this.#listener = listener;
    this.#port = port;
  }

  async #end(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#port = undefined;
    await listener?.close();
  }
}
