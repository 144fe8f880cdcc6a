/** Deadlines of calls and waits. */
export const DEFAULT_TIMEOUT_MS = 10_000;

export interface QmpCallOptions {
  /** Milliseconds until QmpTimeoutError; `Infinity` waits until QEMU answers or ends. */
  readonly timeoutMs?: number;
}

export interface QmpWaitOptions extends QmpCallOptions {
  readonly signal?: AbortSignal;
}

export function startTimer(timeoutMs: number, expired: () => void): NodeJS.Timeout | undefined {
  return Number.isFinite(timeoutMs) ? setTimeout(expired, timeoutMs) : undefined;
}
