/** Sizes, times and ids as people read them, in their language. */

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
const BIT_UNITS = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s'] as const;
const GROUP = 4;

/** Three digits and a decimal unit: `81.0 MB`. */
export function formatBytes(bytes: number, language: string): string {
  return scaled(bytes, BYTE_UNITS, language);
}

export function formatByteRate(bytesPerSecond: number, language: string): string {
  return `${formatBytes(bytesPerSecond, language)}/s`;
}

export function formatBitRate(bitsPerSecond: number, language: string): string {
  return scaled(bitsPerSecond, BIT_UNITS, language);
}

function scaled(amount: number, units: readonly string[], language: string): string {
  let value = amount;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  const number = new Intl.NumberFormat(language, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${number.format(value)} ${units[unit]}`;
}

/** Symbols of the SI, which English writes; other languages have words of their own. */
const symbols = { millisecond: 'ms', second: 's', minute: 'min', hour: 'h', day: 'd' } as const;
type TimeUnit = keyof typeof symbols;

/** `21 ms`, `0.4 s`, `9.3 s`, `4 min 5 s`, `2 h 3 min`; from a hundred milliseconds on in seconds if `asSeconds`. */
export function formatDuration(ms: number, language: string, asSeconds = false): string {
  const unit = (value: number, name: TimeUnit, digits = 0) => {
    const options = { maximumFractionDigits: digits };
    if (language.startsWith('en'))
      return `${new Intl.NumberFormat(language, options).format(value)} ${symbols[name]}`;
    const inWords = { ...options, style: 'unit', unit: name, unitDisplay: 'short' } as const;
    return new Intl.NumberFormat(language, inWords).format(value);
  };
  if (ms < (asSeconds ? 99.5 : 999.5)) return unit(ms, 'millisecond', ms < 10 ? 1 : 0);
  if (ms < 59_950) return unit(ms / 1000, 'second', 1);
  const seconds = Math.round(ms / 1000);
  const minutes = Math.round(ms / 60_000);
  const hours = Math.round(ms / 3_600_000);
  const pair = (value: number, size: number, big: TimeUnit, small: TimeUnit) => {
    const whole = unit(Math.floor(value / size), big);
    return value % size === 0 ? whole : `${whole} ${unit(value % size, small)}`;
  };
  if (seconds < 3600) return pair(seconds, 60, 'minute', 'second');
  if (minutes < 24 * 60) return pair(minutes, 60, 'hour', 'minute');
  return pair(hours, 24, 'day', 'hour');
}

/** Messages and remedies come without full stops, but for those that end in something that has one. */
export function sentences(...parts: readonly (string | null | undefined)[]): string {
  return parts
    .flatMap((part) => (part == null ? [] : [part.endsWith('.') ? part : `${part}.`]))
    .join(' ');
}

/** A moment, as far away as it needs: the time today, else date and time. */
export function formatTime(iso: string, language: string, nowMs: number): string {
  const then = new Date(iso);
  const isToday = then.toDateString() === new Date(nowMs).toDateString();
  return new Intl.DateTimeFormat(language, {
    ...(isToday ? {} : { dateStyle: 'medium' }),
    timeStyle: 'short',
  }).format(then);
}

/** An identity in groups that two people can compare: `3f2b 8c1e ...`. */
export function formatFingerprint(id: string): string {
  return (id.match(new RegExp(`.{1,${GROUP}}`, 'g')) ?? []).join(' ');
}
