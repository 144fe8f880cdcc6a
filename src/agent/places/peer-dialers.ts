/** Keeps calling the places whose addresses are known. */
import type { SojournError } from '../../common/index.ts';
import { type DialerOptions, PeerDialer } from '../../transport/index.ts';
import type { Peer } from '../state/peer-store.ts';

export type PeerDialersOptions = Pick<DialerOptions, 'identity' | 'place' | 'onSession'>;

export class PeerDialers {
  readonly #options: PeerDialersOptions;
  readonly #dialers = new Map<string, PeerDialer>();

  constructor(options: PeerDialersOptions) {
    this.#options = options;
  }

  of(peer: string): PeerDialer | undefined {
    return this.#dialers.get(peer);
  }

  /** From now on under these addresses; nothing, if there are none. */
  dial({ id, endpoints }: Peer): void {
    const [first] = endpoints;
    if (first === undefined) return;
    const hosts = endpoints.map(({ host }) => host);
    const known = this.#dialers.get(id);
    if (known !== undefined) {
      known.setAddresses(hosts, first.port);
      return;
    }
    const dialer = new PeerDialer({ ...this.#options, peer: id, hosts, port: first.port });
    this.#dialers.set(id, dialer);
    dialer.start();
  }

  /** `told`: what the place is told at the end of its session. */
  async end(peer: string, told?: SojournError): Promise<void> {
    const dialer = this.#dialers.get(peer);
    this.#dialers.delete(peer);
    await dialer?.close(told);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#dialers.values()].map((dialer) => dialer.close()));
  }
}
