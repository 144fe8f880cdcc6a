/** Is the other end still there (OpenFlow 1.3.5, 6.3.2)? Pure: time is an argument, in ms on any steady clock. */

export interface KeepalivePolicy {
  /** Silence after which an echo request is sent, ms. */
  readonly idleMs: number;
  /** Silence after the echo request until the connection is given up, ms. */
  readonly deadMs: number;
}

export const KEEPALIVE: KeepalivePolicy = { idleMs: 5_000, deadMs: 5_000 };

export interface KeepaliveState {
  readonly heardAt: number;
  /** When the echo request was sent that nothing came after. */
  readonly askedAt?: number;
}

export interface KeepaliveStep {
  readonly state: KeepaliveState;
  readonly action: 'none' | 'ask' | 'dead';
  /** Call again at this time. */
  readonly nextAt: number;
}

/** Anything that comes counts as an answer: then the state is `{ heardAt: now }`. */
export function keepaliveStep(
  policy: KeepalivePolicy,
  state: KeepaliveState,
  now: number,
): KeepaliveStep {
  const { heardAt, askedAt } = state;
  if (askedAt !== undefined) {
    const nextAt = askedAt + policy.deadMs;
    return { state, action: now >= nextAt ? 'dead' : 'none', nextAt };
  }
  const askAt = heardAt + policy.idleMs;
  if (now < askAt) return { state, action: 'none', nextAt: askAt };
  return { state: { heardAt, askedAt: now }, action: 'ask', nextAt: now + policy.deadMs };
}
