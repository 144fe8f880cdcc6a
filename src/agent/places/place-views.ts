/** What people are told of places. */
import type { Notice, PlaceRef, PlaceView, RightsView } from '../../api/index.ts';
import type { Session } from '../../transport/index.ts';
import type { Peer } from '../state/peer-store.ts';

export function selfView(
  self: PlaceRef,
  profile: PlaceView['profile'],
  endpoints: string[],
): PlaceView {
  return {
    ...self,
    ...{ profile, endpoints },
    self: true,
    connected: true,
    rttMs: null,
    lastSeenAt: null,
    pairedAt: null,
  };
}

/** `rights`: what the place may do here. */
export function peerView(peer: Peer, session: Session | undefined, rights: RightsView): PlaceView {
  const { id, name, profile, pairedAt } = peer;
  const connected = session?.state === 'connected';
  return {
    ...{ id, name, profile, pairedAt, rights, connected },
    self: false,
    rttMs: connected ? (session?.rttMs ?? null) : null,
    lastSeenAt: connected ? new Date().toISOString() : peer.lastSeenAt,
    endpoints: peer.endpoints.map(({ host, port }) => `${host}:${port}`),
  };
}

export function pairingEndedNotice(name: string, since: Date): Notice {
  return {
    code: 'pairing-ended-there',
    severity: 'warning',
    text: `${name} has ended its pairing with this place`,
    remedy: `Pair with it again, or end it here too with "sojourn places forget ${name}"`,
    since: since.toISOString(),
    showAfterMs: 0,
  };
}
