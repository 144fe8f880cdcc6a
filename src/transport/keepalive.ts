/**
 * Is the other end of a connection still there? Pure: time is an argument, in ms on any steady clock.
 * Every byte received is a sign of life, not only a PONG. A peer that owes an answer is first
 * *suspect* (it, or the network, stalls), then *dead* (give the connection up and dial again).
 */

export interface KeepalivePolicy {
  /** Between PINGs while something is under way, ms. */
  readonly busyMs: number;
  readonly idleMs: number;
  /** Silence after a PING until the peer is suspect, ms. */
  readonly suspectMs: number;
  readonly deadMs: number;
}

export const KEEPALIVE: KeepalivePolicy = {
  busyMs: 1_000,
  idleMs: 5_000,
  suspectMs: 3_000,
  deadMs: 10_000,
};

export interface KeepaliveState {
  readonly heardAt: number;
  /** When the unanswered PING was sent. */
  readonly askedAt: number | undefined;
  readonly lastPingAt: number;
  readonly steppedAt: number;
}

export interface KeepaliveStep {
  readonly state: KeepaliveState;
  readonly action: 'none' | 'ping' | 'dead';
  readonly suspect: boolean;
  /** Call again at this time, or earlier when the connection becomes busy. */
  readonly nextAt: number;
}

export function keepaliveStart(now: number): KeepaliveState {
  return { heardAt: now, askedAt: undefined, lastPingAt: now, steppedAt: now };
}

/** Any bytes came in. */
export function keepaliveHeard(state: KeepaliveState, now: number): KeepaliveState {
  return { ...state, heardAt: now, askedAt: undefined };
}

export function keepaliveStep(
  policy: KeepalivePolicy,
  before: KeepaliveState,
  now: number,
  busy: boolean,
): KeepaliveStep {
  let state: KeepaliveState = { ...before, steppedAt: now };
  const pingMs = busy ? policy.busyMs : policy.idleMs;
  // We were stopped ourselves (SIGSTOP, suspend): the answer may wait in our own socket. Ask anew.
  const stopped = now - before.steppedAt > policy.idleMs + policy.suspectMs;
  if (stopped || (state.askedAt === undefined && now - state.lastPingAt >= pingMs)) {
    state = { ...state, askedAt: now, lastPingAt: now };
    const nextAt = now + Math.min(pingMs, policy.suspectMs);
    return { state, action: 'ping', suspect: false, nextAt };
  }
  if (state.askedAt === undefined) {
    return { state, action: 'none', suspect: false, nextAt: state.lastPingAt + pingMs };
  }
  const silentMs = now - state.askedAt;
  if (silentMs >= policy.deadMs) return { state, action: 'dead', suspect: true, nextAt: now };
  const suspect = silentMs >= policy.suspectMs;
  const decided = state.askedAt + (suspect ? policy.deadMs : policy.suspectMs);
  const nextAt = Math.min(decided, now + pingMs);
  return { state, action: 'none', suspect, nextAt };
}
