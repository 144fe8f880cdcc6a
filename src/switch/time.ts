import type { Duration } from '../openflow/index.ts';

/** Of milliseconds. */
export function durationOf(milliseconds: number): Duration {
  const whole = Math.max(0, milliseconds);
  const durationSeconds = Math.floor(whole / 1000);
  const durationNanoseconds = Math.min(
    999_999_999,
    Math.round((whole - durationSeconds * 1000) * 1e6),
  );
  return { durationSeconds, durationNanoseconds };
}
