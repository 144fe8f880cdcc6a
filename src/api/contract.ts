/**
 * THE contract between the agent and everything that talks to it (command, window, tray): one object
 * with every call. Client, server and test doubles are derived from it by the mapped types below.
 *
 * A call with `item` streams: any number of items, then the result. Every item is a snapshot that
 * replaces the one before it; a reader that does not keep up is given only the newest.
 * `onDisconnect` says what happens to a streaming call whose caller goes away without cancelling.
 */
import { z } from 'zod';
import { accelerator, guestName } from '../guest/spec.ts';
import { rulesSchema } from '../link/policy/rules.ts';
import * as view from './views/index.ts';

/** A name, a full id, or an unambiguous beginning of an id (see `resolveReference`). */
const REFERENCE = 'A guest or place is named by 1 to 64 characters of its name or id';
const reference = z.string().min(1, REFERENCE).max(64, REFERENCE);
const nothing = z.strictObject({});
const absolutePath = z.string().max(4096).startsWith('/', 'an absolute path');
const OVERLAY_LIMIT = 'An overlay limit is from 1 MiB to 1 PiB';
const overlayLimitBytes = z
  .int()
  .min(1 << 20, OVERLAY_LIMIT)
  .max(2 ** 50, OVERLAY_LIMIT);
const MEMORY = 'A guest has from 64 MiB to 1 TiB of memory';
const VCPUS = 'A guest has from 1 to 64 processors';
const IMAGE = 'An image is named by 1 to 100 characters';
const HOST = 'A host is given as one name or address, without blanks and without a port';
const TTL = 'An invite is valid for 10 s to 7 days';
const PLACE_NAME = 'The name of a place has 1 to 64 characters';
const UI_PORT = 'The window is served on a port from 1024 to 65535';
const INVITE = 'An invite is the whole line that "sojourn invite" printed';

const limit = (max: number) =>
  z.int().min(0).max(max, 'A limit is too large').nullable().optional();
const receivingChange = z.strictObject({
  place: reference.optional(),
  /** `default`: as of all places. */
  receive: z.enum(['off', 'ask', 'always', 'default']).optional(),
  fetch: z.boolean().optional(),
  /** Null takes away what was said of the place. */
  limits: z
    .strictObject({
      guests: limit(1_000),
      memoryMiB: limit(2 ** 30),
      diskBytes: limit(2 ** 50),
    })
    .optional(),
});
export type ReceivingChange = z.output<typeof receivingChange>;

interface CallShape {
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  readonly item?: z.ZodType;
  readonly onDisconnect?: 'cancel' | 'continue';
}

export const contract = {
  'agent.info': { input: nothing, output: view.agentInfo },
  /** Ends the agent after it has answered. RAM overlays are persisted either way. */
  'agent.stop': {
    input: z.strictObject({ guests: z.enum(['keep', 'stop']).default('keep') }),
    output: z.object({ guestsLeftRunning: z.array(guestName) }),
  },

  'guest.create': {
    input: z.strictObject({
      name: guestName,
      /** Name in the image store. */
      image: z.string().min(1, IMAGE).max(100, IMAGE),
      memoryMiB: z.int().min(64, MEMORY).max(1_048_576, MEMORY).optional(),
      vcpus: z.int().min(1, VCPUS).max(64, VCPUS).optional(),
      overlayLimitBytes: overlayLimitBytes.optional(),
      overlayStorage: z.enum(['memory', 'disk']).optional(),
      accelerator: accelerator.optional(),
      /** As the image says, or else one for an image that boots by itself. */
      display: z.enum(['none', 'vga']).optional(),
    }),
    output: view.guestView,
  },
  'guest.start': {
    /** `fromCopy`: go on from the last copy on disk, if what was written after it is gone. */
    input: z.strictObject({ guest: reference, fromCopy: z.boolean().default(false) }),
    output: view.guestView,
  },
  /** Powers down through the guest's OS; with `force`, at once. */
  'guest.stop': {
    input: z.strictObject({ guest: reference, force: z.boolean().default(false) }),
    output: view.guestView,
  },
  'guest.list': { input: nothing, output: z.array(view.guestView) },
  'guest.show': { input: z.strictObject({ guest: reference }), output: view.guestView },
  /** The unix socket of the serial console; an error that says where the guest runs when not here. */
  'guest.console': {
    input: z.strictObject({ guest: reference }),
    output: z.object({ guest: guestName, socketPath: z.string() }),
  },
  'guest.limit': {
    input: z.strictObject({ guest: reference, overlayLimitBytes }),
    output: view.guestView,
  },
  'guest.delete': {
    input: z.strictObject({ guest: reference, force: z.boolean().default(false) }),
    output: z.object({ guest: guestName }),
  },
  /** Without an action explains an in-doubt guest and what each action means; with one, does it. */
  'guest.recover': {
    input: z.strictObject({ guest: reference, action: view.recoverAction.optional() }),
    output: z.object({
      guest: view.guestView,
      explanation: z.string(),
      choices: z.array(z.object({ action: view.recoverAction, consequence: z.string() })),
      done: view.recoverAction.nullable(),
    }),
  },

  /** `path`: a folder with an `image.json`, or that file. */
  'image.import': {
    input: z.strictObject({ path: absolutePath }),
    item: z.object({
      bytesDone: z.int().nonnegative(),
      bytesTotal: z.int().nonnegative().nullable(),
    }),
    output: view.imageView,
    onDisconnect: 'cancel',
  },
  'image.list': { input: nothing, output: z.array(view.imageView) },

  /** Goes on when the caller disappears; cancelling it, or `handoff.cancel`, works before the seal. */
  'handoff.start': {
    input: z.strictObject({
      guest: reference,
      to: reference,
      /** Switch over at once, however long that pauses the guest. */
      urgent: z.boolean().default(false),
      /** A guest that changes more than the link carries may be slowed down, step by step. */
      slowGuest: z.boolean().default(false),
    }),
    item: view.handoffProgress,
    output: view.handoffResult,
    onDisconnect: 'continue',
  },
  'handoff.cancel': {
    input: z.strictObject({ guest: reference }),
    output: z.object({ guest: view.guestView }),
  },

  /**
   * Keeps an almost finished handoff of the guest at a place, from now on and until `standby.disarm`, whatever comes
   * between. With `wait` the answer comes when it is armed, and items until then; leaving does not end it.
   */
  'standby.arm': {
    input: z.strictObject({
      guest: reference,
      at: reference,
      wait: z.boolean().default(false),
      /** The first fill waits for a network that is not metered. */
      whenUnmetered: z.boolean().default(false),
      /** When the guest has moved it shall stand by at the place that it left. */
      bothWays: z.boolean().default(true),
    }),
    item: view.standbyView,
    output: view.guestView,
    onDisconnect: 'cancel',
  },
  'standby.disarm': { input: z.strictObject({ guest: reference }), output: view.guestView },

  /** What this machine can do and what it lacks, in the order in which to look at it; `again` proves KVM anew. */
  'agent.doctor': {
    input: z.strictObject({ again: z.boolean().default(false) }),
    output: z.object({ ok: z.boolean(), checks: z.array(view.checkView) }),
  },
  /** Serves the window on loopback, from now on, and lets one browser in by a link that works once. */
  'ui.open': {
    input: z.strictObject({
      port: z.int().min(1024, UI_PORT).max(65_535, UI_PORT).optional(),
      /** Shows the screen of this guest first. */
      screenOf: reference.optional(),
    }),
    output: z.object({ url: z.url(), expiresAt: z.iso.datetime() }),
  },

  /** What the agent cannot find out about its host by itself; what is left out stays as it was. */
  'agent.conditions': {
    input: z.strictObject({
      metered: z.boolean().optional(),
      onBattery: z.boolean().optional(),
      lid: z.enum(['open', 'closed']).optional(),
      /** How long ago somebody used this device. */
      usedMsAgo: z.number().nonnegative().optional(),
      /** The system sleeps or goes down in this time; null when that is over. */
      suspendInMs: z.number().nonnegative().nullable().optional(),
      shutdownInMs: z.number().nonnegative().nullable().optional(),
    }),
    output: z.object({ metered: z.boolean(), onBattery: z.boolean() }),
  },

  /** When guests leave and come back by themselves. */
  'policy.show': { input: nothing, output: view.policyView },
  /** The switch `automatic` of the rules that are given is not looked at: only `policy.auto` moves it. */
  'policy.set': { input: z.strictObject({ rules: rulesSchema }), output: view.policyView },
  'policy.auto': { input: z.strictObject({ on: z.boolean() }), output: view.policyView },
  /** Lets the recording go on that the agent was started with in place of a sensor, and that waits. */
  'link.play': { input: nothing, output: z.object({ startedAtMs: z.number() }) },

  /** Who owned guests, when, and under which epoch, by the journal of this place; oldest first. */
  'guest.audit': {
    input: z.strictObject({ guest: reference.optional() }),
    output: z.object({
      place: view.placeRef,
      entries: z.array(view.auditEntry),
      /** What contradicts "one owner at a time"; empty unless the journal was tampered with. */
      problems: z.array(z.string()),
    }),
  },

  'place.list': { input: nothing, output: z.array(view.placeView) },
  'place.invite': {
    input: z.strictObject({
      /** Names or addresses under which the invited can reach this place; the agent's own when absent. */
      hosts: z
        .array(
          z
            .string()
            .max(253, HOST)
            .regex(/^[A-Za-z0-9._:%-]+$/, HOST),
        )
        .min(1)
        .max(8, 'An invite has room for 8 hosts')
        .optional(),
      ttlSeconds: z.int().min(10, TTL).max(604_800, TTL).optional(),
    }),
    output: z.object({
      invite: z.string(),
      expiresAt: z.iso.datetime(),
      hosts: z.array(z.string()),
      port: z.int(),
    }),
  },
  'place.pair': {
    input: z.strictObject({
      invite: z.string().min(1, INVITE).max(8192, INVITE),
      /** What this place shall call the other; its own name when absent. */
      name: z.string().min(1, PLACE_NAME).max(64, PLACE_NAME).optional(),
    }),
    output: view.placeView,
  },
  /** Ends trust at once: sessions are closed, and standbys there and here end. */
  'place.forget': { input: z.strictObject({ place: reference }), output: view.placeRef },

  /**
   * While anybody watches, this device can be seen by devices nearby that want to pair as well, and sees them. An attempt that
   * nobody watches any more ends.
   */
  'nearby.watch': {
    input: nothing,
    item: view.nearbyView,
    output: nothing,
    onDisconnect: 'cancel',
  },
  /** Begins with a device that `nearby.watch` shows: a code appears on both screens. */
  'nearby.pair': { input: z.strictObject({ device: reference }), output: nothing },
  /** A person has compared the codes, or wants no more of it. Resolves at once; `nearby.watch` shows what came of it. */
  'nearby.answer': {
    input: z.strictObject({ attempt: z.uuid(), answer: z.enum(['same', 'different', 'cancel']) }),
    output: nothing,
  },

  'receiving.show': { input: nothing, output: view.receivingView },
  /** What is left out stays as it was; without a place it is said of all of which nothing else was said. */
  'receiving.set': { input: receivingChange, output: view.receivingView },
  'incoming.list': { input: nothing, output: z.array(view.incomingView) },
  /** `always`: and never ask about guests of that place again. */
  'incoming.answer': {
    input: z.strictObject({ incoming: z.uuid(), answer: z.enum(['once', 'always', 'refuse']) }),
    output: view.incomingView,
  },

  /**
   * Where guests are whose addresses this site anchors, and where they may be next, for whoever leads packets to them: at once, and
   * then on every change, until cancelled.
   */
  'mappings.watch': {
    input: nothing,
    item: view.mappingsView,
    output: nothing,
    onDisconnect: 'cancel',
  },

  status: { input: nothing, output: view.status },
  /** Snapshots, one at once and then on every change, until cancelled. */
  'status.watch': {
    input: nothing,
    item: view.status,
    output: nothing,
    onDisconnect: 'cancel',
  },
} as const satisfies Record<string, CallShape>;

export type Contract = typeof contract;
export type CallName = keyof Contract;
export type StreamName = {
  [Name in CallName]: Contract[Name] extends { item: z.ZodType } ? Name : never;
}[CallName];

/** What a caller writes: fields with a default may be left out. */
export type CallInput<Name extends CallName> = z.input<Contract[Name]['input']>;
/** What a caller gets. */
export type CallOutput<Name extends CallName> = z.output<Contract[Name]['output']>;
/** What a streaming call gives before its result; `never` for the others. */
export type CallItem<Name extends CallName> = Contract[Name] extends { item: infer Item }
  ? z.output<Item>
  : never;

type ItemWritten<Name extends CallName> = Contract[Name] extends { item: infer Item }
  ? z.input<Item>
  : never;

export interface CallContext<Name extends CallName> {
  /**
   * Aborted when the caller cancels, when it disconnects (unless the contract says `continue`) and
   * when the server closes.
   */
  readonly signal: AbortSignal;
  /** Sends a snapshot. Never blocks and never fails; validated like every answer. */
  emit(item: ItemWritten<Name>): void;
}

/** One function per call; `input` is validated and has its defaults filled in. */
export type Handlers = {
  readonly [Name in CallName]: (
    input: z.output<Contract[Name]['input']>,
    context: CallContext<Name>,
  ) => Promise<z.input<Contract[Name]['output']>>;
};

export function isCallName(name: string): name is CallName {
  return Object.hasOwn(contract, name);
}
