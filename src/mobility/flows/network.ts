/**
 * What the controller knows: gateways, and where each guest is. The one input of the compiler (`compile.ts`), and the two
 * files that `sojourn controller` reads; addresses are text there.
 *
 *              uplink                        uplink
 *   hosts -[ gateway C ]- routed network -[ gateway A ]- guest (HoA; at A it is MoA)
 *                     \____ tunnel ____________/
 *
 * A gateway that holds a mapping reaches the guest in one of two ways, for each address family by itself: by the *tunnel* from this
 * gateway to the guest's place when there is one, else by *translation* to the guest's mobile address at that place.
 */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { macAddress } from '../../guest/spec.ts';
import { PORT } from '../../openflow/index.ts';

export const gatewayId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'letters, digits, dots and dashes, 64 at most');
/** A number of OpenFlow; `PORT.local` is Open vSwitch's port to its own host. */
const portNumber = z.union([z.int().min(1).max(PORT.max), z.literal(PORT.local)]);
const address4 = z.string().refine((text) => ipaddr.IPv4.isValidFourPartDecimal(text), 'IPv4');
const address6 = z.string().refine((text) => ipaddr.IPv6.isValid(text), 'IPv6');
const cidr4 = z.string().refine((text) => ipaddr.IPv4.isValidCIDR(text), 'IPv4 CIDR');
const cidr6 = z.string().refine((text) => ipaddr.IPv6.isValidCIDR(text), 'IPv6 CIDR');

/** One OpenFlow switch at one location. */
export const gatewaySchema = z.strictObject({
  id: gatewayId,
  /** Sixteen hexadecimal digits, as `ovs-vsctl get bridge NAME datapath_id` prints them. */
  datapathId: z.string().regex(/^[0-9a-f]{16}$/),
  /** The port to the routed network. */
  uplink: z
    .strictObject({
      port: portNumber,
      /**
       * With both, the gateway is a router toward the network: what guests and tunnels send leaves with these addresses. Without them
       * frames keep theirs, and the gateway can have hosts, but neither guests with mobile addresses nor be an anchor.
       */
      mac: macAddress.optional(),
      nextHop: macAddress.optional(),
    })
    .optional(),
  /** The port to hosts whose router is behind the uplink: the gateway stands in their way and changes only IP addresses. */
  hosts: z.strictObject({ port: portNumber }).optional(),
  /**
   * For mappings that come from an agent: the place whose guests are here, by the name or id that the agent knows it by, and the port
   * that they are behind.
   */
  guests: z.strictObject({ place: z.string().min(1).max(64), port: portNumber }).optional(),
  /** The port of the tunnel to another gateway, by its id. What a tunnel carries has its HoA. */
  tunnels: z.record(gatewayId, portNumber).default({}),
  /** Mobile addresses that the network routes to this gateway (`mobileAddresses` takes one for each guest). */
  pool4: cidr4.optional(),
  pool6: cidr6.optional(),
});

/** What a guest has at one place. */
export const attachmentSchema = z.strictObject({
  /** The guest's own port there. */
  port: portNumber,
  moa4: address4.optional(),
  moa6: address6.optional(),
});

/** One guest: its permanent addresses, and where it is. */
export const mappingSchema = z.strictObject({
  /** Its name, for people. */
  guest: z.string().min(1).max(64),
  /** Stable and its own: in the cookies of its flows, and its place in pools. */
  number: z.int().min(1).max(0xffff_ffff),
  mac: macAddress,
  hoa4: address4.optional(),
  /**
   * One address, or a prefix such as the guest's /64. A prefix cannot be translated: OpenFlow 1.3 sets whole fields (7.2.5), so
   * that a guest with a prefix is reached by tunnels.
   */
  hoa6: z.union([address6, cidr6]).optional(),
  /** The gateway where it runs; one of `places`. */
  place: gatewayId,
  /** Where it ran before: packets that still come there are sent on, until the controller clears this. */
  from: gatewayId.optional(),
  /** Where it may run soon: it can send from there and be reached at its mobile address, while packets to it still go to `place`. */
  next: gatewayId.optional(),
  /** By gateway: every place where it can run. */
  places: z.record(gatewayId, attachmentSchema),
  /** Gateways whose hosts and guests talk to it; with its place, `from`, `next` and anchor these hold the mapping. */
  correspondents: z.array(gatewayId).max(4096).default([]),
  /** Where packets of a tunnelled guest leave to the rest of the network, with their HoA. */
  anchor: gatewayId.optional(),
});

/** What all gateways have in common. */
export const networkSchema = z.strictObject({
  gateways: z.array(gatewaySchema).max(4096),
  /** All home addresses: nobody else may send from them, and they do not leave a gateway in translation. */
  homePrefixes: z.array(z.union([cidr4, cidr6])).max(64),
  /** All pools, in few prefixes: the lazy way asks the controller about senders in these. */
  mobilePrefixes: z
    .array(z.union([cidr4, cidr6]))
    .max(64)
    .default([]),
});

export type Gateway = z.infer<typeof gatewaySchema>;
export type Attachment = z.infer<typeof attachmentSchema>;
export type Mapping = z.infer<typeof mappingSchema>;
export type Network = z.infer<typeof networkSchema>;

/** Ids of the gateways that hold flows of a mapping, each once. */
export function holders(mapping: Mapping): ReadonlySet<string> {
  const { place, from, next, anchor, correspondents } = mapping;
  return new Set(
    [place, from, next, anchor, ...correspondents].filter((id): id is string => id !== undefined),
  );
}

export function holds({ id }: Gateway, mapping: Mapping): boolean {
  return isPlaceOf(id, mapping) || id === mapping.anchor || mapping.correspondents.includes(id);
}

/** Whether a guest runs at a gateway, did so just now, or may do so soon. */
export function isPlaceOf(id: string, { place, from, next }: Mapping): boolean {
  return id === place || id === from || id === next;
}

/** Whether it can send packets of guests to the network by itself. */
export function isRouter({ uplink }: Gateway): boolean {
  return uplink?.mac !== undefined && uplink.nextHop !== undefined;
}

export function datapathIdOf(gateway: Gateway): bigint {
  return BigInt(`0x${gateway.datapathId}`);
}
