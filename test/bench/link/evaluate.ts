/** Plays a session to a policy and counts what came of it. */
import type { LinkSample } from '../../../src/link/index.ts';
import { deliveredAtMs, type Session } from './sessions.ts';

/** Part of a handoff that no byte of the residue explains: round trips, the guest's pause. */
export const SWITCHOVER_MS = 500;
export const FALSE_AFTER_MS = 60_000;
export const RETURN_DBM = -62;
export const RETURN_AFTER_MS = 8000;

/** One for each session; `observe` is called for every sample, also while the guest is away. */
export interface Trigger {
  observe(sample: LinkSample): void;
  /** Whether a handoff of `residueBytes` begins now. */
  fires(residueBytes: number): boolean;
}

export interface Outcome {
  outages: number;
  /** The guest was away when the link was lost. */
  saved: number;
  /** Of these: away since before the outage before. */
  stillAway: number;
  late: number;
  missed: number;
  handoffs: number;
  falseHandoffs: number;
  connectedMs: number;
  awayMs: number;
  leadMs: number[];
}

export function emptyOutcome(): Outcome {
  return {
    outages: 0,
    saved: 0,
    stillAway: 0,
    late: 0,
    missed: 0,
    handoffs: 0,
    falseHandoffs: 0,
    connectedMs: 0,
    awayMs: 0,
    leadMs: [],
  };
}

export function add(into: Outcome, more: Outcome): void {
  for (const key of Object.keys(into) as (keyof Outcome)[])
    if (key === 'leadMs') into.leadMs.push(...more.leadMs);
    else into[key] += more[key];
}

/** 8 s at -62 dBm or better, without a gap, since the guest left. */
export class ReturnRule {
  #goodSinceMs: number | undefined;

  left(): void {
    this.#goodSinceMs = undefined;
  }

  observe(sample: LinkSample): boolean {
    const good = sample.connected && (sample.signalDbm ?? -200) >= RETURN_DBM;
    if (!good) this.#goodSinceMs = undefined;
    else this.#goodSinceMs ??= sample.atMs;
    return this.#goodSinceMs !== undefined && sample.atMs - this.#goodSinceMs >= RETURN_AFTER_MS;
  }
}

/** The guest is at home at the start, and after an outage in which it was not away. */
export function play(
  session: Session,
  trigger: Trigger,
  residueBytes: number,
  switchoverMs = SWITCHOVER_MS,
): Outcome {
  const outcome = emptyOutcome();
  outcome.connectedMs = session.connectedMs;
  const back = new ReturnRule();
  const outages = [
    ...session.outages,
    { startMs: Number.POSITIVE_INFINITY, endMs: Number.POSITIVE_INFINITY },
  ];
  let next = 0;
  let firedAtMs: number | undefined;
  let firedInWindow = false;
  for (const row of session.rows) {
    const { sample } = row;
    while (next < outages.length && sample.atMs > (outages[next]?.startMs ?? 0)) {
      const lostMs = outages[next]?.startMs as number;
      outcome.outages++;
      if (firedAtMs === undefined) outcome.missed++;
      else {
        if (firedInWindow) outcome.leadMs.push(lostMs - firedAtMs);
        if (deliveredAtMs(session, firedAtMs, residueBytes) + switchoverMs <= lostMs) {
          outcome.saved++;
          if (!firedInWindow) outcome.stillAway++;
        } else {
          outcome.late++;
          firedAtMs = undefined;
        }
      }
      firedInWindow = false;
      next++;
    }
    trigger.observe(sample);
    const mayReturn = back.observe(sample);
    if (firedAtMs !== undefined && sample.connected) outcome.awayMs += row.durationMs;
    if (firedAtMs !== undefined && mayReturn) firedAtMs = undefined;
    else if (firedAtMs === undefined && sample.connected && trigger.fires(residueBytes)) {
      firedAtMs = sample.atMs;
      firedInWindow = true;
      outcome.handoffs++;
      const lostMs = outages[next]?.startMs ?? Number.POSITIVE_INFINITY;
      if (lostMs - sample.atMs > FALSE_AFTER_MS) outcome.falseHandoffs++;
      back.left();
    }
  }
  return outcome;
}
