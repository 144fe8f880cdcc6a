/** Pairing by an invite: a site makes it, another place uses it. */
import { asSojournError, SojournError } from '../../common/index.ts';
import {
  createInvite,
  type Identity,
  type InviteStore,
  type PlaceInfo,
  pairWithSite,
  parseInvite,
} from '../../transport/index.ts';
import type { Peer } from '../state/peer-store.ts';
import { ownAddresses } from './place-addresses.ts';
import { notPairing } from './place-errors.ts';

const DEFAULT_INVITE_SECONDS = 3600;

export interface InvitingSite {
  readonly identity: Identity;
  readonly name: string;
  /** undefined: not a site. */
  readonly listen: { readonly port: number } | undefined;
  readonly advertise: readonly string[];
  readonly invites: InviteStore;
}

/** `hosts`: under which the site is dialled, where they are not its own addresses. @throws SojournError `not-a-site` */
export async function makeInvite(
  { identity, name, listen, advertise, invites }: InvitingSite,
  request: { readonly hosts?: readonly string[]; readonly ttlSeconds?: number },
): Promise<{ invite: string; expiresAt: string; hosts: string[]; port: number }> {
  if (listen === undefined)
    throw new SojournError({
      kind: 'conflict',
      code: 'not-a-site',
      message:
        'Invites are made by sites; a device listens only for devices that it is paired with',
      remedy:
        'Run "sojourn invite" at a site, or "sojourn pair --nearby" at two devices in one network',
    });
  const hosts = [...(request.hosts ?? (advertise.length > 0 ? advertise : ownAddresses()))];
  const { text, invite } = await createInvite({
    identity,
    name,
    hosts,
    port: listen.port,
    ttlMs: (request.ttlSeconds ?? DEFAULT_INVITE_SECONDS) * 1000,
    now: Date.now(),
    store: invites,
  });
  return { invite: text, expiresAt: invite.expires, hosts, port: listen.port };
}

/** The site as it is known from now on; `name`: what it is called here. @throws SojournError `invite-*`, `peer-not-pinned`, `peer-unreachable` */
export async function pairByInvite(
  { identity, place }: { readonly identity: Identity; readonly place: PlaceInfo },
  text: string,
  name: string | undefined,
): Promise<Peer> {
  const invite = parseInvite(text);
  if (invite.id === identity.id)
    throw new SojournError({
      kind: 'usage',
      code: 'invite-own',
      message: 'This invite is of this very place',
      remedy: 'Use it on the device that shall hand its guests over to this place',
    });
  const site = await pairWithSite({ identity, place, invite }).catch((error: unknown) => {
    throw notPairing(asSojournError(error), invite.name);
  });
  return {
    id: site.id,
    name: name ?? site.name,
    profile: site.profile,
    endpoints: site.hosts.map((host) => ({ host, port: site.port })),
    tunnelPort: null,
    pairedAt: new Date().toISOString(),
    lastSeenAt: null,
  };
}
