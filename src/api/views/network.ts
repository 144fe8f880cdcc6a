/** How packets reach guests. */
import { z } from 'zod';
import { guestId, guestName, macAddress, placeId } from '../../guest/spec.ts';
import { count, milliseconds, placeRef, time } from './common.ts';

/** Some 600 bytes each, and all of them have to be in one line. */
export const MAX_MAPPINGS = 1_500;

/** Where the guests are whose addresses the answering site anchors. Places are named in `places`. */
export const mappingsView = z.object({
  /** The place that answers. */
  home: placeId,
  places: z.array(placeRef),
  guests: z
    .array(
      z.object({
        id: guestId,
        name: guestName,
        /** Its own at this site: that of its addresses. */
        number: z.int().positive(),
        mac: macAddress,
        hoa4: z.ipv4(),
        hoa6Prefix: z.cidrv6(),
        /** Where it is, since this epoch of its owner. */
        place: placeId,
        epoch: z.int().positive(),
        /** Where it may be next: a handoff or a standby has begun. */
        expected: z.object({ place: placeId, epoch: z.int().positive() }).nullable(),
      }),
    )
    .max(MAX_MAPPINGS),
});

export const datapathView = z.discriminatedUnion('running', [
  z.object({
    running: z.literal(true),
    pid: z.int().positive(),
    since: time,
    tap: z.string().nullable(),
    tunnels: z.array(
      z.object({
        peer: placeRef,
        connected: z.boolean(),
        rttMs: milliseconds.nullable(),
        bytesIn: count,
        bytesOut: count,
      }),
    ),
    /** Packets dropped since it started, by reason (`anti-spoof`, `rate-guard`, ...). */
    drops: z.record(z.string(), count),
  }),
  z.object({ running: z.literal(false), reason: z.string() }),
]);

export type MappingsView = z.output<typeof mappingsView>;
export type DatapathView = z.output<typeof datapathView>;
