/** The link of a device, and what the policy makes of it. */
import { z } from 'zod';
import { guestId, guestName } from '../../guest/spec.ts';
// Past its index: the window runs in a browser, and the schema needs no sensors.
import { rulesSchema } from '../../link/policy/rules.ts';
import { milliseconds, time } from './common.ts';

/** What the policy said of a guest. */
export const decisionView = z.object({
  at: time,
  guest: z.object({ id: guestId, name: guestName }),
  action: z.enum(['none', 'arm', 'tighten', 'fire', 'return']),
  /** Stable, for programs. */
  code: z.string(),
  /** One line for people. */
  why: z.string(),
});

export const policyView = z.object({
  /** Whether guests leave and come back by themselves. */
  automatic: z.boolean(),
  rules: rulesSchema,
});

export const linkView = z.object({
  sensor: z.object({
    name: z.string(),
    /** `missing`: this machine has none, and only probes tell of the link. */
    state: z.enum(['starting', 'working', 'broken', 'ended', 'closed', 'missing']),
    reason: z.string().optional(),
  }),
  connected: z.boolean().nullable(),
  signalDbm: z.number().nullable(),
  band: z.enum(['2.4', '5', '6']).nullable(),
  /** Bit rate of the radio, bits a second. */
  rateBitsPerSecond: z.number().nonnegative().nullable(),
  /** To the place that the probes know best; null before it was measured. */
  rttMs: milliseconds.nullable(),
  /** Null without figures of the signal. */
  forecast: z
    .object({
      evidence: z.string(),
      slopeDbPerSecond: z.number(),
      /** Null where no loss is in sight. */
      secondsLeft: milliseconds.nullable(),
      bytesLeft: milliseconds.nullable(),
      /** One line: `-76 dBm, falling 0.8 dB/s: about 11 s and 3.0 MB left`. */
      text: z.string(),
    })
    .nullable(),
  policy: z.object({
    ...policyView.shape,
    /** What it says of each guest now. */
    now: z.array(decisionView),
    /** What it said when that changed, oldest first. */
    recent: z.array(decisionView),
  }),
});

export type DecisionView = z.output<typeof decisionView>;
export type PolicyView = z.output<typeof policyView>;
export type LinkView = z.output<typeof linkView>;
