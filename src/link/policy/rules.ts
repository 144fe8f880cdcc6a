/** What people want, as data. Every rule has a default that suits somebody who has never seen this file. */
import { z } from 'zod';
import { media } from '../sample.ts';

const share = z.number().min(0).max(1);
const seconds = z.number().min(0).max(86_400);
const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'write times like 17:30');
const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

/** A place is known by what is connected there; all that is given must fit. */
const placeRule = z.strictObject({
  name: z.string().min(1).max(64),
  medium: z.enum(media).optional(),
  network: z.string().max(128).optional(),
  bssid: z.string().max(64).optional(),
  /** stay: never leave while here. leave: always leave from here as soon as it can. */
  rule: z.enum(['stay', 'leave']),
});

const scheduleRule = z.strictObject({
  days: z
    .array(z.enum(days))
    .min(1)
    .max(7)
    .default([...days]),
  from: timeOfDay,
  /** Earlier than `from`: on the next day. */
  to: timeOfDay,
  rule: z.enum(['stay', 'leave']),
});

export const rulesSchema = z.strictObject({
  version: z.literal(1).default(1),
  /** Off: nothing happens by itself, a standby is kept only on request. */
  automatic: z.boolean().default(true),
  arm: z
    .strictObject({
      /** Keep a standby ready at all. */
      enabled: z.boolean().default(true),
      /** Not on a link worse than this: arming would take what the guest needs. */
      signalDbm: z.number().min(-100).max(0).default(-80),
      onMetered: z.boolean().default(false),
      /** Not on battery below this charge. */
      batteryAbove: share.default(0.2),
    })
    .prefault({}),
  /** Upkeep is tightened when the budget is below this multiple of the residue. */
  tightenAt: z.number().min(1).max(100).default(6),
  leave: z
    .strictObject({
      /** Before the link is lost. */
      onLoss: z.boolean().default(true),
      onSuspend: z.boolean().default(true),
      onShutdown: z.boolean().default(true),
      onLidClosed: z.boolean().default(false),
      /** The cable was unplugged. */
      onUndock: z.boolean().default(false),
      /** At this charge on battery; 0: never. */
      batteryBelow: share.default(0.07),
      /** The person uses another device. */
      followPerson: z.boolean().default(false),
      /** The metered network is used for leaving before a loss. */
      onMetered: z.boolean().default(true),
      /** What can wait does so while the guest is busy, at most this long. */
      busyWaitSeconds: seconds.default(300),
    })
    .prefault({}),
  return: z
    .strictObject({
      automatic: z.boolean().default(false),
      signalDbm: z.number().min(-100).max(0).default(-62),
      afterSeconds: seconds.default(8),
      /** Each return that did not last doubles the wait, up to this. */
      longestWaitSeconds: seconds.default(600),
    })
    .prefault({}),
  places: z.array(placeRule).max(64).default([]),
  schedule: z.array(scheduleRule).max(64).default([]),
});

export type Rules = Readonly<z.infer<typeof rulesSchema>>;
export type PlaceRule = Rules['places'][number];

export const defaultRules: Rules = rulesSchema.parse({});

/** Minutes since Monday 00:00, local time. */
const DAY = 24 * 60;

/** Which schedule applies now; the last one that fits wins. */
export function scheduleAt(
  rules: Rules,
  minuteOfWeek: number,
): Rules['schedule'][number] | undefined {
  return rules.schedule.findLast(({ days: on, from, to }) =>
    on.some((day) => {
      const begin = days.indexOf(day) * DAY + minutes(from);
      const length = (minutes(to) - minutes(from) + DAY) % DAY || DAY;
      return (minuteOfWeek - begin + 7 * DAY) % (7 * DAY) < length;
    }),
  );
}

function minutes(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}
