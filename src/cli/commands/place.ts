import type { PlaceView } from '../../api/index.ts';
import { type CommonOptions, usageError } from '../output.ts';
import { printable, shortId, table } from '../text.ts';
import { formatDuration } from '../units.ts';
import { withAgent } from '../with-agent.ts';
import { type NearbyOptions, nearby } from './nearby.ts';

const INVITE_WARNING =
  'Whoever owns this site can read the memory and the disk of every guest handed to it. ' +
  'Give the invite only to people who know that.';
const PAIR_WARNING =
  'The owner of a site can read the memory and the disk of every guest you hand to it.';

export async function list(options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const places = await client.call('place.list', {});
    output.result(places, placeTable(places));
  });
}

export async function forget(place: string, options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const forgotten = await client.call('place.forget', { place });
    output.done(forgotten, printable(`${forgotten.name} is forgotten and can no longer connect`));
  });
}

export interface InviteOptions extends CommonOptions {
  readonly host?: readonly string[];
  readonly ttl?: string;
}

/** The invite alone is on standard output, so that it can be piped. */
export async function invite(options: InviteOptions): Promise<void> {
  const ttlSeconds = options.ttl === undefined ? undefined : parseSeconds(options.ttl);
  await withAgent(options, async (client, output) => {
    const made = await client.call('place.invite', {
      hosts: options.host === undefined ? undefined : [...options.host],
      ttlSeconds,
    });
    output.result({ ...made, warning: INVITE_WARNING }, made.invite);
    if (output.json) return;
    output.remark(`Works once, until ${made.expiresAt}, by way of ${hostList(made)}:`);
    output.remark('  sojourn pair INVITE');
    output.remark(INVITE_WARNING);
  });
}

export interface PairOptions extends NearbyOptions {
  readonly name?: string;
  readonly nearby?: boolean;
}

export async function pair(text: string | undefined, options: PairOptions): Promise<void> {
  const near = options.nearby || options.with !== undefined || options.accept !== undefined;
  if (text === undefined && near) return nearby(options);
  if (text === undefined || near)
    throw usageError(
      'pairing-unclear',
      near ? 'A device nearby needs no invite' : 'Nobody is named to pair with',
      'Give the invite of a site, or --nearby for a device in this network',
    );
  await withAgent(options, async (client, output) => {
    const place = await client.call('place.pair', { invite: text.trim(), name: options.name });
    output.done({ ...place, warning: PAIR_WARNING }, `paired with ${printable(place.name)}`);
    if (!output.json) output.remark(PAIR_WARNING);
  });
}

export function placeTable(places: readonly PlaceView[]): string {
  return table(
    ['PLACE', 'ID', 'PROFILE', 'CONNECTION', 'ROUND TRIP', 'LAST SEEN', 'RECEIVE', 'ADDRESS'],
    places.map((place) => [
      place.name,
      shortId(place.id),
      place.profile,
      place.self ? 'this place' : place.connected ? 'connected' : 'not connected',
      place.rttMs === null ? '-' : formatDuration(place.rttMs),
      place.self ? '-' : (place.lastSeenAt ?? 'never'),
      place.rights?.receive ?? '-',
      place.endpoints.join(' ') || '-',
    ]),
  );
}

function hostList({ hosts, port }: { hosts: readonly string[]; port: number }): string {
  return hosts
    .map((host) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`))
    .join(', ');
}

function parseSeconds(text: string): number {
  const match = /^(\d+)([smhd]?)$/.exec(text);
  const scale = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 }[match?.[2] ?? ''];
  if (match === null || scale === undefined) {
    throw usageError(
      'time-malformed',
      `${JSON.stringify(text)} is not a time`,
      'Write 90s, 15m or 2h',
    );
  }
  return Number(match[1]) * scale;
}
