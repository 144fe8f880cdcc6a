/** Other places, and guests that come from them. */
import { z } from 'zod';
import { guestId, guestName, placeId } from '../../guest/spec.ts';
import { count, milliseconds, placeRef, time } from './common.ts';

/** Whether guests of another place may come: never, when a person here says so, or always. */
export const receiveMode = z.enum(['off', 'ask', 'always']);

/** What a place may do here. */
export const rightsView = z.object({
  receive: receiveMode,
  /** Said of this place; else as of all places of which nothing was said. */
  own: z.boolean(),
  /** It may ask for guests that it has had before. */
  fetch: z.boolean(),
  /** What its guests may take here, those that stand by included; null: as much as there is. */
  limits: z.object({
    guests: count.nullable(),
    memoryMiB: count.nullable(),
    diskBytes: count.nullable(),
  }),
});

export const receivingView = z.object({
  /** Of places of which nothing else was said. */
  receive: receiveMode,
  /** `host:port`, where other devices reach this device; empty while it listens nowhere, and at a site. */
  listens: z.array(z.string()),
  places: z.array(z.object({ place: placeRef, rights: rightsView })),
});

/** A guest that another place wants to bring, and that waits for a person's word. */
export const incomingView = z.object({
  id: z.uuid(),
  guest: z.object({ id: guestId, name: guestName }),
  from: placeRef,
  /** It may stand by here for long before it comes. */
  standby: z.boolean(),
  since: time,
  /** Without an answer until then it is refused. */
  expiresAt: time,
  /** What it will use. */
  memoryMiB: count,
  vcpus: count,
  /** What it may write, of all its disks. */
  diskBytes: count,
});

/** Devices nearby that want to pair too, and the attempt under way. All text of theirs is a stranger's. */
export const nearbyView = z.object({
  /** What this device calls itself there. */
  visibleAs: z.string(),
  /** Why nobody can be found just now. */
  problem: z.object({ code: z.string(), text: z.string() }).nullable(),
  devices: z.array(
    z.object({
      id: placeId,
      name: z.string(),
      profile: z.enum(['device', 'site']),
      paired: z.boolean(),
    }),
  ),
  attempt: z
    .object({
      id: z.uuid(),
      /** Who began it. */
      direction: z.enum(['here', 'there']),
      peer: z.object({ id: placeId, name: z.string() }),
      /** What the time that is left counts down from, when the state began, ms; null where nothing does. */
      msLeft: milliseconds.nullable(),
      state: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('connecting') }),
        z.object({
          kind: z.literal('comparing'),
          /** Six digits, the same on both screens unless somebody is in between. */
          code: z.string().regex(/^[0-9]{6}$/),
          /** A person here, or there, has said that they are. */
          here: z.boolean(),
          there: z.boolean(),
        }),
        z.object({ kind: z.literal('concluding') }),
        z.object({ kind: z.literal('paired'), place: placeRef }),
        z.object({
          kind: z.literal('failed'),
          code: z.string(),
          text: z.string(),
          remedy: z.string(),
        }),
      ]),
    })
    .nullable(),
});

export const placeView = z.object({
  ...placeRef.shape,
  profile: z.enum(['device', 'site']),
  /** The place that answers this call. */
  self: z.boolean(),
  connected: z.boolean(),
  /** Round trip of the control session; null when not connected or not measured yet. */
  rttMs: milliseconds.nullable(),
  lastSeenAt: time.nullable(),
  /** `host:port`, where it can be dialled; empty for a place that dials us. */
  endpoints: z.array(z.string()),
  pairedAt: time.nullable(),
  /** Absent for the place that answers. */
  rights: rightsView.optional(),
});

export type ReceiveMode = z.output<typeof receiveMode>;
export type RightsView = z.output<typeof rightsView>;
export type ReceivingView = z.output<typeof receivingView>;
export type IncomingView = z.output<typeof incomingView>;
export type NearbyView = z.output<typeof nearbyView>;
export type PlaceView = z.output<typeof placeView>;
