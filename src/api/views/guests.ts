/** Guests, where they are and stand by, and their handoffs. */
import { z } from 'zod';
import { accelerator, digest, guestId, guestName } from '../../guest/spec.ts';
import { count, milliseconds, notice, placeRef, time } from './common.ts';

/** The phases of a handoff, in their order; the last three only where something went wrong. */
export const handoffPhase = z.enum([
  'preflight',
  'prepare',
  'disk',
  'memory',
  'armed',
  'switchover',
  'seal',
  'release',
  'in-doubt',
  'abort',
  'reclaim',
]);

/** A snapshot: each one replaces the one before it, so a slow reader may be given only the newest. */
export const handoffProgress = z.object({
  phase: handoffPhase,
  /** When the phase began, milliseconds since the Unix epoch. */
  startedAtMs: milliseconds,
  bytesDone: count,
  /** Null while the amount is unknown. */
  bytesTotal: count.nullable(),
  bytesPerSecond: milliseconds.nullable(),
  etaMs: milliseconds.nullable(),
  /** What would still have to cross the link to complete now. */
  residueBytes: count.nullable(),
  note: z.string().optional(),
});

export const handoffResult = z.object({
  handoffId: z.uuid(),
  guest: z.object({ id: guestId, name: guestName }),
  from: placeRef,
  to: placeRef,
  kind: z.enum(['cold', 'armed']),
  /** From the request to the guest running at its new place. */
  triggerToRunningMs: milliseconds,
  /** How long the guest itself stood still. */
  pauseMs: milliseconds,
  bytesOnLink: count,
  /** The guest's owner epoch after it. */
  epoch: count,
  phases: z.array(z.object({ name: handoffPhase, ms: milliseconds })),
});

export const recoverAction = z.enum(['keep-here', 'give-up-here']);

export const guestState = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('starting'), since: time }),
  z.object({ kind: z.literal('running'), since: time, pid: z.int().positive() }),
  z.object({
    kind: z.literal('paused'),
    since: time,
    pid: z.int().positive(),
    reason: z.enum(['overlay-limit', 'user', 'disk-error', 'incoming', 'unresponsive']),
    detail: z.string().optional(),
  }),
  z.object({ kind: z.literal('stopping'), since: time }),
  z.object({ kind: z.literal('stopped'), since: time }),
  z.object({
    kind: z.literal('crashed'),
    since: time,
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    reason: z.string(),
  }),
  z.object({
    kind: z.literal('elsewhere'),
    /** Since when it is known to be there. */
    since: time,
    place: placeRef,
    /** What the place said last; `unknown` when it has not been heard since. */
    there: z.enum(['running', 'paused', 'stopped', 'unknown']),
  }),
  z.object({
    kind: z.literal('moving-out'),
    since: time,
    handoffId: z.uuid(),
    to: placeRef,
    progress: handoffProgress,
  }),
  z.object({
    kind: z.literal('moving-in'),
    since: time,
    handoffId: z.uuid(),
    from: placeRef,
    progress: handoffProgress,
  }),
  z.object({
    kind: z.literal('in-doubt'),
    since: time,
    handoffId: z.uuid(),
    /** The other place, which has not said whether it took the guest. */
    with: placeRef,
    explanation: z.string(),
  }),
]);

/** What keeps an almost finished handoff of a guest standing at another place (`arm`). */
export const standbyView = z.object({
  place: placeRef,
  /**
   * `filling`: what the guest is goes there for the first time; `armed`: only the residue is left to cross; `waiting`: for
   * something that is expected to come; `unavailable`: it failed, and is tried again by itself.
   */
  state: z.enum(['filling', 'armed', 'waiting', 'unavailable']),
  /** Why it waits or failed, without a trailing full stop; also while armed, when something hinders it. */
  reason: z.string().optional(),
  /** Stable, for `reason`. */
  reasonCode: z.string().optional(),
  remedy: z.string().optional(),
  /** Of the first fill. */
  progress: handoffProgress.optional(),
  /** What has changed since it was last sent, bytes of memory and disk; null while nothing is known. */
  residueBytes: count.nullable(),
  /** The same after compression. */
  residueBytesOnLink: count.nullable(),
  /** What the guest changes, after repeated changes of a page are counted once a pass. */
  dirtyBytesPerSecond: milliseconds.nullable(),
  /** Age of the copy over there. */
  freshMs: milliseconds.nullable(),
  /** What keeping it fresh costs the link, after compression. */
  upkeepBytesPerSecond: milliseconds.nullable(),
  /** From the request to the guest running there, at what the link carries now; null while nothing honest can be said. */
  estimateMs: milliseconds.nullable(),
  /** Since when it is in this state. */
  since: time,
  whenUnmetered: z.boolean(),
  /** Whether the guest shall stand by at the old place when it has moved. */
  bothWays: z.boolean(),
});

/** One time of a guest at a place, from the journal of the place that answers. */
export const auditEntry = z.object({
  guest: z.object({ id: guestId, name: z.string() }),
  epoch: count,
  /** Who may run the guest from then on; null when nobody, since it was deleted. */
  owner: placeRef.nullable(),
  from: time,
  /** Null while it lasts. */
  until: time.nullable(),
  /** What made it so: the record of the journal. */
  record: z.string(),
  handoffId: z.uuid().nullable(),
});

export const overlayView = z.object({
  storage: z.enum(['memory', 'disk']),
  usedBytes: count,
  limitBytes: count,
});

export const guestView = z.object({
  id: guestId,
  name: guestName,
  state: guestState,
  /** The owner epoch: grows by one with every change of owner. */
  epoch: count,
  memoryMiB: z.int().positive(),
  vcpus: z.int().positive(),
  accelerator,
  machine: z.string(),
  /** Whether it has a screen. */
  display: z.enum(['none', 'vga']).default('none'),
  network: z.object({ hoa4: z.ipv4(), hoa6Prefix: z.cidrv6() }),
  /** The place whose gateway anchors the home addresses. */
  home: placeRef,
  /** Null where this place holds no overlay of it. */
  overlay: overlayView.nullable(),
  /** Null unless somebody wants the guest to stand by somewhere. */
  standby: standbyView.nullable(),
  createdAt: time,
  notices: z.array(notice),
});

export const imageView = z.object({
  name: z.string(),
  architecture: z.enum(['x86_64', 'aarch64']),
  boot: z.enum(['kernel', 'bios', 'uefi']),
  disks: z.array(z.object({ name: z.string(), digest, virtualBytes: count })),
  /** Of all its files in the store. */
  bytes: count,
  defaults: z.object({ memoryMiB: z.int().positive(), vcpus: z.int().positive() }),
});

export type HandoffPhase = z.output<typeof handoffPhase>;
export type HandoffProgress = z.output<typeof handoffProgress>;
export type HandoffResult = z.output<typeof handoffResult>;
export type RecoverAction = z.output<typeof recoverAction>;
export type GuestState = z.output<typeof guestState>;
export type StandbyView = z.output<typeof standbyView>;
export type AuditEntry = z.output<typeof auditEntry>;
export type GuestView = z.output<typeof guestView>;
export type ImageView = z.output<typeof imageView>;
