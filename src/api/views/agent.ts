/** The agent, its machine, and all of it together. */
import { z } from 'zod';
import { accelerator } from '../../guest/spec.ts';
import { notice, placeRef, time } from './common.ts';
import { guestView } from './guests.ts';
import { linkView } from './link.ts';
import { datapathView } from './network.ts';
import { incomingView, placeView, receiveMode } from './places.ts';

export const acceleratorVerdict = z.object({
  accelerator,
  kvm: z.object({
    present: z.boolean(),
    opens: z.boolean(),
    /** Whether a real kernel booted under it; null when that was not tried. */
    boots: z.boolean().nullable(),
    reason: z.string(),
  }),
  checkedAt: time,
});

export const agentInfo = z.object({
  version: z.string(),
  pid: z.int().positive(),
  profile: z.enum(['device', 'site']),
  place: placeRef,
  stateDirectory: z.string(),
  startedAt: time,
  nodeVersion: z.string(),
  qemu: z.object({ binary: z.string(), version: z.string() }).nullable(),
  /** Null while it is still being found out, or without QEMU. */
  accelerator: acceleratorVerdict.nullable(),
  /** Where peers dial; null on a place that only dials. */
  listen: z.object({ host: z.string(), port: z.int(), tunnelPort: z.int() }).nullable(),
});

/** One thing that Sojourn needs from this machine. `warn`: works, with less than one may expect; `fail`: will not work. */
export const checkView = z.object({
  /** Stable, for programs. */
  id: z.string(),
  status: z.enum(['ok', 'warn', 'fail']),
  /** What was found, without a trailing full stop. */
  text: z.string(),
  remedy: z.string().optional(),
});

export const status = z.object({
  at: time,
  agent: agentInfo,
  guests: z.array(guestView),
  places: z.array(placeView),
  datapath: datapathView,
  warnings: z.array(notice),
  /** Only of a place that may lose its network. */
  link: linkView.optional(),
  /** Whether guests of other places may come; absent from agents that do not ask. */
  receiving: z.object({ receive: receiveMode, listens: z.array(z.string()) }).optional(),
  incoming: z.array(incomingView).optional(),
});

export type AgentInfo = z.output<typeof agentInfo>;
export type CheckView = z.output<typeof checkView>;
export type Status = z.output<typeof status>;
