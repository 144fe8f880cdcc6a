/** One attempt to reach a place that has several addresses: the first that proves to be it wins. */
import { connect, type TLSSocket } from 'node:tls';
import { errorText, SojournError } from '../common/index.ts';
import type { Identity } from './identity.ts';
import { type Alpn, requirePeer, tlsClientOptions } from './tls.ts';

/** The next address is tried when one has not answered for this long (RFC 8305, 8: 250 ms), ms. */
const STAGGER_MS = 250;
/** For one attempt at all addresses, ms. */
export const DIAL_TIMEOUT_MS = 8_000;

export interface DialTarget {
  readonly identity: Identity;
  /** Place id that the other side must prove. */
  readonly peer: string;
  readonly hosts: readonly string[];
  readonly port: number;
  readonly alpn: Alpn;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * A TLS connection to `peer`, verified. Errors: `peer-not-pinned` when something else answered at one of
 * the addresses and none was right; `peer-unreachable`; `dial-cancelled`.
 */
export async function dialPlace(target: DialTarget): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const waiting = [...target.hosts];
    const trying = new Map<TLSSocket, string>();
    const failures: { host: string; error: unknown }[] = [];
    let stagger: NodeJS.Timeout | undefined;

    const settle = (act: () => void) => {
      clearTimeout(stagger);
      clearTimeout(deadline);
      target.signal?.removeEventListener('abort', cancel);
      for (const socket of trying.keys()) socket.destroy();
      trying.clear();
      act();
    };
    const cancel = () => settle(() => reject(dialCancelled()));
    const deadline = setTimeout(() => {
      for (const host of trying.values()) failures.push({ host, error: 'no answer' });
      settle(() => reject(summary(target, failures)));
    }, target.timeoutMs ?? DIAL_TIMEOUT_MS);

    const next = () => {
      clearTimeout(stagger);
      const host = waiting.shift();
      if (host !== undefined) start(host);
      if (waiting.length > 0) stagger = setTimeout(next, STAGGER_MS);
    };
    const start = (host: string) => {
      const { identity, port, alpn } = target;
      const socket = connect({ ...tlsClientOptions(identity, alpn), host, port });
      trying.set(socket, host);
      const fail = (error: unknown) => {
        if (!trying.delete(socket)) return;
        socket.destroy();
        failures.push({ host, error });
        if (waiting.length > 0) next();
        else if (trying.size === 0) settle(() => reject(summary(target, failures)));
      };
      socket.on('error', fail);
      socket.once('close', () => fail('the connection was closed'));
      socket.once('secureConnect', () => {
        try {
          requirePeer(socket, target.peer);
        } catch (error) {
          fail(error);
          return;
        }
        if (trying.delete(socket)) settle(() => resolve(socket));
      });
    };

    if (target.signal?.aborted) {
      cancel();
      return;
    }
    target.signal?.addEventListener('abort', cancel, { once: true });
    next();
  });
}

function summary(
  target: DialTarget,
  failures: readonly { host: string; error: unknown }[],
): SojournError {
  for (const { error } of failures) if (error instanceof SojournError) return error;
  const tried = failures.map(({ host, error }) => `${host} port ${target.port}: ${reason(error)}`);
  return new SojournError({
    kind: 'unreachable',
    code: 'peer-unreachable',
    message: `The other place cannot be reached (${tried.join('; ')})`,
    remedy: 'Check the network here, that the agent there is running, and that its port is open',
    cause: failures.at(-1)?.error,
  });
}

function reason(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ECONNREFUSED':
      return 'nothing listens there';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the name is not known';
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return 'there is no route';
    case 'ETIMEDOUT':
      return 'no answer';
    default:
      return errorText(error);
  }
}

export function dialCancelled(): SojournError {
  return new SojournError({
    kind: 'cancelled',
    code: 'dial-cancelled',
    message: 'The attempt to reach the other place was cancelled',
  });
}
