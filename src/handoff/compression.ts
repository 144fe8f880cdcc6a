/** How hard the stream of memory is compressed: a pure choice, from what the link turns out to carry. */

/** A level of zstd, or none at all. */
export type Compression = 'off' | 1 | 3 | 6;

export interface CompressionSample {
  /** What the link carries at least, bytes a second; undefined until measured. */
  readonly linkBytesPerSecond: number | undefined;
  /** The link waited for the compressor: nearly nothing was queued before it though there was more to send. */
  readonly starved: boolean;
}

/** From here on the processor may be what is slow, bytes a second: one core compresses 100 to 300 MB/s. */
const FAST_LINK = 60e6;
/** Below these a better level pays, bytes a second. */
const SLOW_LINK = 8e6;
const VERY_SLOW_LINK = 1e6;
/** A choice is changed only beyond this factor, so that a rate near a border does not change it all the time. */
const HYSTERESIS = 1.5;

export function chooseCompression(current: Compression, sample: CompressionSample): Compression {
  const rate = sample.linkBytesPerSecond;
  if (rate === undefined) return current;
  if (rate >= FAST_LINK) return current === 'off' || sample.starved ? 'off' : 1;
  // What seems to be a slow link is a busy processor: a better level would make it slower still.
  if (sample.starved && rate >= VERY_SLOW_LINK) return 1;
  const above = (border: number, stronger: boolean) =>
    rate >= (stronger ? border * HYSTERESIS : border);
  if (current === 'off' && rate >= FAST_LINK / HYSTERESIS) return 'off';
  if (above(SLOW_LINK, current === 3 || current === 6)) return 1;
  return above(VERY_SLOW_LINK, current === 6) ? 3 : 6;
}
