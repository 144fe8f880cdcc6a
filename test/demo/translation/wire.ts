/** What crosses the network between the sites, from captures at its router: which addresses, quoted packets included. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Mapping } from '../../../src/mobility/flows/index.ts';
import { Capture } from '../../lab/probes/index.ts';
import { SITES, type SitesLab, towardSite } from '../../lab/sites.ts';
import { addressText, ICMP, ICMPV6, type Packet, readCapture } from '../pcap.ts';

export interface WireFigures {
  /** Packets with the guest's own addresses, outside or in what an ICMP error quotes. */
  readonly homePackets: number;
  readonly mobilePackets: number;
  /** By place of the guest. */
  readonly mobilePacketsOf: Readonly<Record<string, number>>;
}

/** Captures all interfaces of the router toward the sites. Resolves when packets are being captured, with how to end it. */
export async function captureWire(lab: SitesLab, directory: string): Promise<() => Promise<void>> {
  mkdirSync(directory, { recursive: true });
  const captures = await Promise.all(
    SITES.map((site) =>
      Capture.start(lab.namespace('internet'), towardSite(site), join(directory, `${site}.pcap`)),
    ),
  );
  return async () => {
    await Promise.all(captures.map((capture) => capture.close()));
  };
}

/** Counts the captures of a folder. */
export function readWire(directory: string, { hoa4, hoa6, places }: Mapping): WireFigures {
  const home = new Set([hoa4, hoa6].flatMap((address) => address ?? []).map(addressText));
  const mobile = new Map(
    Object.entries(places).flatMap(([site, { moa4, moa6 }]) =>
      [moa4, moa6].flatMap((address) => (address ? [[addressText(address), site] as const] : [])),
    ),
  );
  const mobilePacketsOf: Record<string, number> = {};
  for (const site of mobile.values()) mobilePacketsOf[site] = 0;
  let [homePackets, mobilePackets] = [0, 0];
  for (const file of readdirSync(directory))
    for (const packet of readCapture(join(directory, file))) {
      const addresses = addressesOf(packet);
      if (addresses.some((address) => home.has(address))) homePackets += 1;
      const site = addresses.map((address) => mobile.get(address)).find(Boolean);
      if (site === undefined) continue;
      mobilePackets += 1;
      mobilePacketsOf[site] = (mobilePacketsOf[site] ?? 0) + 1;
    }
  return { homePackets, mobilePackets, mobilePacketsOf };
}

function addressesOf({ version, protocol, payload, source, destination }: Packet): string[] {
  const outer = [source, destination];
  const type = payload[0] ?? -1;
  if (version === 4 && protocol === ICMP && [3, 11, 12].includes(type) && payload.length >= 28)
    return [
      ...outer,
      [...payload.subarray(20, 24)].join('.'),
      [...payload.subarray(24, 28)].join('.'),
    ];
  if (version === 6 && protocol === ICMPV6 && type < 128 && payload.length >= 48)
    return [...outer, payload.toString('hex', 16, 32), payload.toString('hex', 32, 48)];
  return outer;
}
