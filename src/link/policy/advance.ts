/** What the policy remembers from one step to the next. */
import type { Rules } from './rules.ts';
import { isWired, type PolicyInput, type PolicyState } from './types.ts';

/** Longer than this between two steps: the machine slept, or this process did. */
const GAP_MS = 5000;
const CLOCK_JUMP_MS = 2000;
const SETTLE_MS = 10_000;
/** A return that ends in a handoff within this time was none. */
const SHORT_RETURN_MS = 300_000;

export function advance(before: PolicyState, input: PolicyInput, rules: Rules): PolicyState {
  const { atMs, wallMs } = input;
  const elapsed = before.lastMs === undefined ? 0 : atMs - before.lastMs;
  const jumped =
    before.lastMs !== undefined && Math.abs(wallMs - before.lastWallMs - elapsed) > CLOCK_JUMP_MS;
  const slept = elapsed > GAP_MS;
  const settledAtMs = slept || jumped ? atMs + SETTLE_MS : before.settledAtMs;
  const ethernet = isWired(input);
  const good = isGood(input, rules);
  const left = before.guest !== 'away' && input.guest === 'away';
  const returned =
    before.guest !== 'here' && input.guest === 'here' && before.leftAtMs !== undefined;
  const short = before.returnedAtMs !== undefined && atMs - before.returnedAtMs < SHORT_RETURN_MS;
  return {
    lastMs: atMs,
    lastWallMs: wallMs,
    settledAtMs,
    goodSinceMs: good && !slept && !left ? (before.goodSinceMs ?? atMs) : good ? atMs : undefined,
    leftAtMs: left ? atMs : returned ? undefined : before.leftAtMs,
    returnedAtMs: returned ? atMs : before.returnedAtMs,
    shortReturns: left ? (short ? before.shortReturns + 1 : 0) : before.shortReturns,
    ethernetLostAtMs:
      ethernet || slept
        ? undefined
        : before.hadEthernet && before.lastMs !== undefined
          ? atMs
          : before.ethernetLostAtMs,
    hadEthernet: ethernet,
    busySinceMs: input.guestBusy ? (before.busySinceMs ?? atMs) : undefined,
    guest: input.guest,
  };
}

function isGood(input: PolicyInput, rules: Rules): boolean {
  const { connections, outlook, probes } = input;
  if (probes.suspect || connections.length === 0) return false;
  if (isWired(input)) return true;
  return (
    outlook !== undefined &&
    outlook.evidence !== 'silent' &&
    outlook.levelDbm >= rules.return.signalDbm
  );
}
