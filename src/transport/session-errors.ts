/** Why a session ends, or a connection is refused, in words for people. */
import { SojournError } from '../common/index.ts';
import { shortId } from './tls.ts';

export function stopped(): SojournError {
  return new SojournError({
    kind: 'cancelled',
    code: 'session-closed',
    message: 'The agent at one of the two places ended the connection between them',
    remedy: 'Start the agent again if it should be running',
  });
}

export function expired(windowMs: number): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'session-expired',
    message: `The other place could not be reached for ${Math.round(windowMs / 60_000)} minutes`,
    remedy: 'Check the network at both places',
  });
}

/** `place` is the one that says so. */
export function notPaired(place: { name: string; id: string }): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'not-paired',
    message: `${place.name} (${shortId(place.id)}) is not paired with this place, or no longer`,
    remedy: `Run "sojourn invite" there and "sojourn pair" here`,
  });
}

export function stale(): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'connection-stale',
    message: 'A newer connection of the same session came first',
  });
}

export function lost(): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'session-lost',
    message:
      'The agent at the other place was restarted and does not know this connection any more',
    remedy: 'Try again; a new connection is being made',
  });
}

export function replaced(): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'session-lost',
    message: 'The agent at the other place was restarted and has made a new connection',
    remedy: 'Try again over the new connection',
  });
}
