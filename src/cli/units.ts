/** Sizes and times as people read and write them. */
import { SojournError } from '../common/index.ts';

const KIB = 1024;
const powers: Readonly<Record<string, number>> = { '': 0, K: 1, M: 2, G: 3, T: 4 };
const decimalUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `1500` bytes, `512K`, `512M`, `2G`, `2GiB`; powers of 1024. Throws `size-malformed`. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const power = powers[match?.[2]?.toUpperCase() ?? ''];
  const bytes = Number(match?.[1]) * KIB ** (power ?? 0);
  if (match !== null && Number.isSafeInteger(Math.round(bytes))) return Math.round(bytes);
  throw new SojournError({
    kind: 'usage',
    code: 'size-malformed',
    message: `${JSON.stringify(text)} is not a size`,
    remedy: 'Write it like 512M or 2G',
  });
}

/** A number of things. Throws `count-malformed`. */
export function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new SojournError({
    kind: 'usage',
    code: 'count-malformed',
    message: `${JSON.stringify(text)} is not a whole number from 1`,
    remedy: 'Write it like 2',
  });
}

/** Mebibytes; a bare number is taken as such. */
export function parseMemory(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : Math.round(parseSize(text) / KIB ** 2);
}

/** Three digits and a decimal unit: `81.0 MB`. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < decimalUnits.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : threeDigits(value)} ${decimalUnits[unit]}`;
}

export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(Math.round(bytesPerSecond))}/s`;
}

/** `21 ms`, `9.3 s`, `4 min 5 s`, `2 h 3 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return pair(seconds, 60, 'min', 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return pair(minutes, 60, 'h', 'min');
  return pair(Math.round(minutes / 60), 24, 'd', 'h');
}

function pair(value: number, size: number, big: string, small: string): string {
  const rest = value % size;
  const whole = `${Math.floor(value / size)} ${big}`;
  return rest === 0 ? whole : `${whole} ${rest} ${small}`;
}

function threeDigits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}
