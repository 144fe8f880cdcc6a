/** The move of a guest while somebody on another network watches it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Evidence } from '../../demo/evidence.ts';
import type { Lab } from '../../lab/index.ts';
import { Probes } from '../../lab/probes/index.ts';
import type { Mover } from './mover.ts';

const RECORDS_PORT = 7002;
const RECORDS_DEADLINE_MS = 60_000;
/** The probes' own processes and the TCP connection have this long to become quiet. */
const SETTLE_MS = 3000;
/** Probes 1 ms apart begin so long before a move and go on so long after it (test/demo/figures.ts). */
const LEAD_MS = 1200;
const AFTER_MS = 1500;
/** A TCP connection that lost segments of several seconds sends them again within this: it has stalled, not broken. */
const RECOVERY_MS = 10_000;
/** Bytes of an echo: at 1 ms they shall leave room on a link of 2 Mbit/s. */
const ECHO_BYTES = 20;
const DENSE_MS = 1;
/**
 * While a copy has longer to go than `NEAR_END_SECONDS`, echoes are `SPARSE_MS` apart: for minutes of denser ones the
 * slow methods would pay with a good part of their link.
 */
const SPARSE_MS = 50;
const NEAR_END_SECONDS = 4;
const LOOK_MS = 250;

export interface WatchOptions {
  readonly lab: Lab;
  readonly evidence: Evidence;
  readonly mover: Mover;
  readonly address: string;
  /** Of the link. */
  readonly mbit: number;
  readonly limitMs: number;
  readonly signal: AbortSignal;
  readonly tell: (text: string) => void;
}

export type Outcome =
  | { readonly kind: 'moved' }
  /** `leftBytes`: NaN when nobody knows. */
  | { readonly kind: 'late'; readonly leftBytes: number };

/** Leaves what test/demo/figures.ts needs in the evidence when the guest was moved. Throws when the move failed. */
export async function watchMove(options: WatchOptions): Promise<Outcome> {
  const { lab, evidence, mover, address, signal } = options;
  const targets = [{ name: 'v4', address }];
  const probes = new Probes(lab.correspondent, evidence.client, targets, { echoBytes: ECHO_BYTES });
  try {
    await probes.startCapture();
    await probes.start();
    probes.spacing(SPARSE_MS);
    await sleep(SETTLE_MS, undefined, { signal });
    evidence.event('watch-start', { handoff: 1 });
    if (mover.arm !== undefined) probes.spacing(DENSE_MS);
    await sleep(LEAD_MS, undefined, { signal });
    const outcome = await move(options, probes);
    if (outcome.kind === 'late') return outcome;
    await sleep(AFTER_MS, undefined, { signal });
    probes.spacing(SPARSE_MS);
    await sleep(RECOVERY_MS, undefined, { signal });
    evidence.event('watch-end', { handoff: 1 });
    const file = evidence.path('records-1.txt');
    await probes.fetch(address, RECORDS_PORT, file, RECORDS_DEADLINE_MS);
    return outcome;
  } finally {
    await probes.close();
  }
}

async function move(options: WatchOptions, probes: Probes): Promise<Outcome> {
  const { lab, evidence, mover, limitMs, signal, tell } = options;
  const way = { handoff: 1, from: 'device', to: 'site' };
  const ended = new AbortController();
  const stop = AbortSignal.any([signal, ended.signal]);
  tell('move');
  evidence.link('handoff-1-start', await lab.link.statistics());
  evidence.event('handoff-start', way);
  try {
    const late = sleep(limitMs, 'late' as const, { signal: stop });
    const moving = mover.move().then(() => 'moved' as const);
    const looking = mover.arm === undefined ? spaceProbes(options, probes, stop) : late;
    // Those that lose the race are ended below, or with the lab.
    for (const each of [late, moving, looking]) each.catch(() => {});
    const kind = await Promise.race([moving, late, looking]);
    if (kind === 'late') return { kind, leftBytes: await mover.leftBytes() };
    evidence.event('handoff-end', way);
    evidence.link('handoff-1-end', await lab.link.statistics());
    return { kind };
  } finally {
    ended.abort();
  }
}

/** Rejects when `signal` is aborted, or nobody can say how far the copy is. */
async function spaceProbes(
  { mover, mbit }: WatchOptions,
  probes: Probes,
  signal: AbortSignal,
): Promise<never> {
  const nearEndBytes = (mbit * 1e6 * NEAR_END_SECONDS) / 8;
  for (let spacing = SPARSE_MS; ; ) {
    await sleep(LOOK_MS, undefined, { signal });
    const wanted = (await mover.leftBytes()) <= nearEndBytes ? DENSE_MS : SPARSE_MS;
    if (wanted !== spacing) probes.spacing(wanted);
    spacing = wanted;
  }
}
