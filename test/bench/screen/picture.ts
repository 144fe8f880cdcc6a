/** What can be read from the demo guest's running picture (`resources/guest/services/picture.c`), and what that says. */

/** Each number is so many squares of so many points, white for 1, the highest bit first. */
export const BITS = 16;
export const SQUARE = 16;

/** What a viewer saw, and when (ms since 1970). */
export interface Seen {
  readonly at: number;
  readonly frame: number;
  /** Keys that the guest had got by then. */
  readonly keys: number;
}

/** Frames a second that were different from the one before. */
export function framesPerSecond(seen: readonly Seen[]): number {
  const shown = changes(seen);
  const [first, last] = [shown[0], shown.at(-1)];
  if (first === undefined || last === undefined || first === last) return 0;
  return ((shown.length - 1) * 1000) / (last.at - first.at);
}

/** Longest time in which one frame stood, ms; the last one until `end`. */
export function longestStandstill(seen: readonly Seen[], end: number): number {
  const begins = changes(seen).map(({ at }) => at);
  return Math.max(0, ...begins.map((at, index) => (begins[index + 1] ?? end) - at));
}

/** From each key to the picture that shows that the guest has it, ms; infinite for one that never showed. */
export function delays(pressed: readonly number[], seen: readonly Seen[]): number[] {
  const before = seen.findLast(({ at }) => at <= (pressed[0] ?? 0))?.keys ?? seen[0]?.keys ?? 0;
  return pressed.map((at, index) => {
    const shown = seen.find((one) => one.at > at && one.keys >= before + index + 1);
    return shown === undefined ? Number.POSITIVE_INFINITY : shown.at - at;
  });
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

function changes(seen: readonly Seen[]): Seen[] {
  return seen.filter(({ frame }, index) => frame !== seen[index - 1]?.frame);
}
