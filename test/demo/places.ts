/** A laptop and a cloud site that know each other, and what they tell of a guest. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { ADDRESSES, type Lab } from '../lab/index.ts';
import type { Evidence } from './evidence.ts';
import { Place } from './place.ts';
import type { GuestFacts } from './report.ts';

export const DEMO_IMAGE = fileURLToPath(
  new URL('../../.cache/demo-guest/current', import.meta.url),
);

export type Side = 'device' | 'site';

export interface PlacesOptions {
  readonly lab: Lab;
  readonly evidence: Evidence;
  readonly signal: AbortSignal;
  /** Beside what every laptop is started with. */
  readonly deviceFlags?: readonly string[];
}

const guestView = z.looseObject({
  state: z.looseObject({ kind: z.string(), pid: z.int().optional() }),
  memoryMiB: z.int(),
  accelerator: z.string(),
  network: z.looseObject({ hoa4: z.string(), hoa6Prefix: z.string() }),
});
type GuestView = z.infer<typeof guestView>;

/** Starts both agents with the demo guest's image and pairs them; each is in `places` as soon as it runs. */
export async function startPlaces(
  { lab, evidence, signal, deviceFlags = [] }: PlacesOptions,
  places: Map<Side, Place>,
): Promise<void> {
  const start = async (profile: Side, name: string, flags: readonly string[]) => {
    const log = evidence.path(profile, 'agent.log');
    const place = await Place.start({
      ...{ lab, signal, profile, name, log, flags },
      namespace: lab[profile],
    });
    places.set(profile, place);
    await place.sojourn('image', 'import', DEMO_IMAGE);
    return place;
  };
  const [site, device] = await Promise.all([
    start('site', 'cloud', [
      ...['--listen', '0.0.0.0:7420', '--advertise', ADDRESSES.site4, '--tap', 'sojourn0'],
      ...['--hoa4', ADDRESSES.hoaPrefix4, '--hoa6', ADDRESSES.hoaPrefix6],
    ]),
    start('device', 'laptop', deviceFlags),
  ]);
  const made = z
    .looseObject({ invite: z.string() })
    .parse(JSON.parse(await site.sojourn('invite')));
  await device.sojourn('pair', made.invite);
}

export async function showGuest(place: Place, guest: string): Promise<GuestView> {
  return guestView.parse(JSON.parse(await place.sojourn('guest', 'show', guest)));
}

/** Of the guest's QEMU, which runs at `place`. */
export async function commandLine(place: Place, guest: string): Promise<string[]> {
  const { pid } = (await showGuest(place, guest)).state;
  if (pid === undefined) throw new Error(`the guest does not run at ${place.name}`);
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
}

/** Home addresses as the guest makes them: its IPv6 from its MAC (RFC 4291, appendix A). */
export function guestFacts(view: GuestView, argv: readonly string[]): GuestFacts {
  const mac = /\bmac=([0-9a-f:]{17})/.exec(argv.join(' '))?.[1];
  if (mac === undefined) throw new Error('the command line of the guest has no MAC');
  const { accelerator, memoryMiB, network } = view;
  const hoa6 = interfaceAddress(network.hoa6Prefix, mac);
  return { accelerator, memoryMiB, hoa4: network.hoa4, hoa6 };
}

/** The address with the modified EUI-64 interface identifier of `mac` in a /64 prefix. */
export function interfaceAddress(prefix: string, mac: string): string {
  const bytes = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = bytes;
  const identifier = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  const network = ipaddr.IPv6.parse(prefix.split('/')[0] ?? '').parts.slice(0, 4);
  return new ipaddr.IPv6([...network, ...identifier]).toString();
}
