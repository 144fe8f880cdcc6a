/**
 * The control protocol between agent and datapath: JSON lines over a unix socket, one schema per call.
 *
 *   -> {"id": 1, "method": "setGuest", "params": {...}}
 *   <- {"id": 1, "result": {...}}   or   {"id": 1, "error": {kind, code, message, remedy?}}
 *   <- {"event": "guestPortReconnected", ...}        to clients that called `subscribe`
 *
 * Every call says what shall be and can be repeated. Calls of one client are executed in order.
 */

import { z } from 'zod';
import { wireError } from '../common/index.ts';
import { guestId, guestNetwork, macAddress, placeId } from '../guest/spec.ts';

/** Bytes of one line, either way: a status of a thousand guests fits. */
export const MAX_LINE_BYTES = 1024 * 1024;

const epoch = z.int().nonnegative();
const port = z.int().min(0).max(65_535);
const interfaceName = z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,14}$/);

export const configuration = z.strictObject({
  /** Directory with the identity of this place (src/transport). */
  identityDir: z.string().min(1),
  /** A site listens for the tunnels of its devices. */
  listen: z.strictObject({ host: z.string().min(1), port }).optional(),
  /** The site's way to the rest of the network. */
  tap: z
    .strictObject({
      name: interfaceName,
      /**
       * `host`: it anchors home addresses, and the host's own network routes them there. `gateway`: it is a port of a switch under a
       * controller, which knows where guests are; they cross it with link-layer addresses of their own, whoever anchors them.
       */
      toward: z.enum(['host', 'gateway']).default('host'),
      prefixes4: z.array(z.cidrv4()).max(16),
      prefixes6: z.array(z.cidrv6()).max(16),
    })
    .optional(),
  peers: z
    .array(
      z.strictObject({
        id: placeId,
        dial: z
          .strictObject({ hosts: z.array(z.string().min(1)).min(1).max(8), port: port.min(1) })
          .optional(),
      }),
    )
    .max(1024),
  /** Anchor of guests that name none: where a device sends what is not local. Absent at the anchor itself. */
  defaultPeer: placeId.optional(),
});
export type Configuration = z.infer<typeof configuration>;

export const place = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('local') }),
  z.strictObject({ kind: z.literal('peer'), peer: placeId }),
  z.strictObject({ kind: z.literal('none') }),
]);

export const guestSettings = z.strictObject({
  guestId,
  network: guestNetwork.refine(({ hoa6Prefix }) => hoa6Prefix.endsWith('/64'), {
    error: 'hoa6Prefix has to be a /64',
  }),
  mac: macAddress,
  /** One older than what the datapath knows is refused with `epoch-stale`. */
  epoch,
  location: place,
  /** The guest's home, through which the world reaches it. Default: `defaultPeer`, without one this datapath. */
  anchor: placeId.optional(),
  /** The guest's port here. `held`: packets wait for `releasePort`, because its QEMU is still incoming. */
  port: z.strictObject({ socket: z.string().min(1), held: z.boolean() }).optional(),
});
export type GuestSettings = z.infer<typeof guestSettings>;

const problem = z.object({ code: z.string(), message: z.string(), remedy: z.string().optional() });
export type Problem = z.infer<typeof problem>;

const counters = z.object({
  rxPackets: z.number(),
  rxBytes: z.number(),
  txPackets: z.number(),
  txBytes: z.number(),
  rxDropped: z.number(),
  txDropped: z.number(),
});

export const status = z.object({
  pid: z.int(),
  /** Own place id, absent before the first `configure`. */
  place: z.string().optional(),
  listening: z.object({ host: z.string(), port: z.number() }).optional(),
  tap: z
    .object({
      name: z.string(),
      connected: z.boolean(),
      adapterPid: z.int().optional(),
      counters,
    })
    .optional(),
  tunnels: z.array(
    z.object({
      peer: z.string(),
      connected: z.boolean(),
      rttMs: z.number().optional(),
      counters,
      window: z
        .object({ inFlight: z.number(), limit: z.number(), bytesPerSecond: z.number() })
        .optional(),
      lastError: z.string().optional(),
    }),
  ),
  guests: z.array(
    z.object({
      guestId: z.string(),
      epoch: z.number(),
      location: place,
      state: z.enum(['live', 'source-hold', 'source-forward', 'anchor-hold', 'anchor-drain']),
      held: z.object({
        held: z.number(),
        forwarded: z.number(),
        gate: z.number(),
        bytes: z.number(),
      }),
      port: z
        .object({
          socket: z.string(),
          connected: z.boolean(),
          connections: z.number(),
          held: z.boolean(),
          counters,
        })
        .optional(),
    }),
  ),
  /** Packets that went no further, by reason. */
  drops: z.record(z.string(), z.number()),
  cache: z.object({ hits: z.number(), misses: z.number(), flows: z.number() }),
  problems: z.array(problem),
});
export type Status = z.infer<typeof status>;

const none = z.strictObject({});
const guestOnly = z.strictObject({ guestId });

export const calls = {
  configure: {
    params: configuration,
    result: z.object({
      place: z.string(),
      listening: z.object({ host: z.string(), port: z.number() }).optional(),
      problems: z.array(problem),
    }),
  },
  setGuest: { params: guestSettings, result: none },
  removeGuest: { params: guestOnly, result: none },
  releasePort: { params: guestOnly, result: none },
  /** `epoch`: the guest's epoch now. `drained`: the guest itself said that it has read all before. */
  beginSwitchover: {
    params: z.strictObject({ guestId, epoch }),
    result: z.object({ drained: z.boolean() }),
  },
  abortSwitchover: { params: guestOnly, result: none },
  /** `epoch`: the guest's epoch at `to`, higher than that of `beginSwitchover`. */
  commitSwitchover: { params: z.strictObject({ guestId, epoch, to: placeId }), result: none },
  /** The destination refused after the commit: the guest is here again under a new epoch. */
  reclaim: { params: z.strictObject({ guestId, epoch }), result: none },
  status: { params: none, result: status },
  /** Events from now on, and those kept (256 at most) while nobody had subscribed. */
  subscribe: { params: none, result: none },
  /**
   * Ends the process; the connection ends when it has. `tap`: whether interface and adapter stay for the next one.
   */
  shutdown: { params: z.strictObject({ tap: z.enum(['keep', 'remove']) }), result: none },
} as const;

export type Calls = typeof calls;
export type CallName = keyof Calls;
export type Params<Name extends CallName> = z.infer<Calls[Name]['params']>;
export type Result<Name extends CallName> = z.infer<Calls[Name]['result']>;
export type Handlers = { [Name in CallName]: (params: Params<Name>) => Promise<Result<Name>> };

const guestEvent = <Name extends string>(event: Name) =>
  z.object({ event: z.literal(event), guestId: z.string() });

export const eventMessage = z.discriminatedUnion('event', [
  guestEvent('guestPortConnected'),
  /** QEMU connected again, after a datapath or connection was lost: its transmit queue may need stop and cont. */
  guestEvent('guestPortReconnected'),
  guestEvent('guestPortDisconnected'),
  /** A switchover was neither committed nor aborted within 10 s: packets go to the old place. */
  guestEvent('holdTimeout'),
  /** END or FWD_END did not come within 2 s: a few packets may be late or out of order. */
  guestEvent('markerTimeout'),
  /** More than 4 MiB came for a held guest. */
  guestEvent('holdOverflow'),
  z.object({ event: z.literal('tunnelUp'), peer: z.string() }),
  z.object({ event: z.literal('tunnelDown'), peer: z.string(), reason: z.string() }),
  z.object({ event: z.literal('tapUp') }),
  z.object({ event: z.literal('tapDown') }),
  z.object({ event: z.literal('problem'), problem }),
]);
export type DatapathEvent = z.infer<typeof eventMessage>;

export const request = z.strictObject({
  id: z.int().nonnegative(),
  method: z.string(),
  params: z.unknown().optional(),
});

export const reply = z.union([
  z.object({ id: z.int().nonnegative(), result: z.unknown(), error: z.undefined().optional() }),
  z.object({ id: z.int().nonnegative(), error: wireError }),
]);
