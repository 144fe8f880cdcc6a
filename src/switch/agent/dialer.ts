/** Keeps a connection to one controller, with growing waits between attempts. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type SecureContextOptions } from 'node:tls';
import { SojournError } from '../../common/index.ts';
import type { Clock } from '../../openflow/index.ts';
import { type ControllerTarget, formatTarget } from './target.ts';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8_000;
const CONNECT_TIMEOUT_MS = 10_000;

/** Who we are, and whom we believe; all three, as Open vSwitch has them. */
export type TlsFiles = Required<Pick<SecureContextOptions, 'key' | 'cert' | 'ca'>>;

/** Wait before the next attempt after so many failures in a row, ms; `random` in [0, 1). */
export function retryMs(failures: number, random: number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 16));
  return Math.round(full * (0.5 + random / 2));
}

export interface DialerOptions {
  readonly target: ControllerTarget;
  readonly tls?: TlsFiles;
  readonly clock: Clock;
  /** Connected; `lost` must be called when that is over. */
  readonly connected: (socket: Socket) => void;
  readonly failed: (error: SojournError, retryInMs: number) => void;
}

export class Dialer {
  readonly #options: DialerOptions;
  #failures = 0;
  #closed = false;
  #socket: Socket | undefined;
  #stopTimer = () => {};

  constructor(options: DialerOptions) {
    this.#options = options;
    this.#dial();
  }

  /** Both hellos are through: the next loss is the first again. */
  succeeded(): void {
    this.#failures = 0;
  }

  lost(error: SojournError): void {
    this.#socket = undefined;
    if (this.#closed) return;
    const wait = retryMs(this.#failures++, Math.random());
    this.#options.failed(error, wait);
    this.#stopTimer = this.#options.clock.after(wait, () => this.#dial());
  }

  close(): void {
    this.#closed = true;
    this.#stopTimer();
    this.#socket?.destroy();
  }

  #dial(): void {
    const { target, tls, connected } = this.#options;
    const secure = target.type === 'ssl';
    const socket = secure
      ? // Certificates of switches and controllers name no hosts: who has one of the authority is believed (ovs-pki(8)).
        connectTls({
          host: target.host,
          port: target.port,
          ...tls,
          checkServerIdentity: () => undefined,
        })
      : target.type === 'unix'
        ? connect({ path: target.path })
        : connect({ host: target.host, port: target.port, noDelay: true });
    this.#socket = socket;
    const fail = (message: string, cause?: unknown) => {
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.destroy();
      this.lost(
        new SojournError({
          kind: 'unreachable',
          code: 'controller-unreachable',
          message: `The controller ${formatTarget(target)} cannot be reached: ${message}`,
          cause,
        }),
      );
    };
    const stopTimer = this.#options.clock.after(CONNECT_TIMEOUT_MS, () => fail('no answer'));
    socket.once('error', (error) => {
      stopTimer();
      fail(error.message, error);
    });
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      stopTimer();
      socket.removeAllListeners('error');
      connected(socket);
    });
  }
}
