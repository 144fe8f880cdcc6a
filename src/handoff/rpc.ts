/** The typed calls of `messages.ts` over a session. */
import { typedCalls } from '../transport/index.ts';
import { type HandoffKey, messages } from './messages.ts';
import type { SessionPort } from './ports.ts';

export const { call, handle } = typedCalls(messages);

/** For telling the other place that it may forget the handoff, ms; it finds out by itself as well. */
export const ABORT_TIMEOUT_MS = 5_000;

/** Tells the destination that the guest stays here. It may be told at any time, and again. */
export async function tellAborted(session: SessionPort, key: HandoffKey): Promise<void> {
  await call(session, 'handoff.abort', key, { timeoutMs: ABORT_TIMEOUT_MS });
}
