/** The device's side of pairing. */

import { dialPlace } from './dial.ts';
import { greet } from './greet.ts';
import { type PlaceInfo, SPOKEN } from './hello.ts';
import type { Identity } from './identity.ts';
import { type Invite, type PairedPlace, proveInvite } from './invite.ts';
import { ALPN_SESSION } from './tls.ts';

export interface PairedSite extends PairedPlace {
  readonly hosts: readonly string[];
  readonly port: number;
}

/**
 * Uses an invite: afterwards the site has this place's identity pinned, and the caller pins the site
 * that is returned. May be repeated by the same device when the answer was lost on the way.
 * Errors: `invite-unknown`, `invite-used`, `invite-expired`, `peer-not-pinned`, `peer-unreachable`, ...
 */
export async function pairWithSite(options: {
  readonly identity: Identity;
  readonly place: PlaceInfo;
  readonly invite: Invite;
  readonly signal?: AbortSignal;
}): Promise<PairedSite> {
  const { identity, place, invite, signal } = options;
  const { id, hosts, port } = invite;
  const socket = await dialPlace({ identity, peer: id, hosts, port, alpn: ALPN_SESSION, signal });
  let site: PlaceInfo | undefined;
  await greet(
    socket,
    { intent: 'pair', versions: SPOKEN, place, ...proveInvite(invite, socket, identity.id) },
    (connection, answer) => {
      site = answer.place;
      connection.destroy();
    },
  );
  return { id, hosts, port, ...(site as unknown as PlaceInfo) };
}
