import type { Band } from '../sample.ts';

/** Centre of a 20 MHz channel, MHz (IEEE 802.11-2024, annex E); undefined for what is no channel of the band. */
export function channelFrequencyMhz(channel: number, band: Band | undefined): number | undefined {
  if (!Number.isInteger(channel) || channel < 1 || channel > 233) return undefined;
  const known = band ?? (channel <= 14 ? '2.4' : '5');
  if (known === '2.4') return channel === 14 ? 2484 : 2407 + 5 * channel;
  if (known === '5') return channel >= 32 && channel <= 177 ? 5000 + 5 * channel : undefined;
  return channel === 2 ? 5935 : 5950 + 5 * channel;
}

/** `2.4`, `2,4`, `2`, `5`, `6` as systems write bands. */
export function bandNamed(text: string | undefined): Band | undefined {
  if (text === undefined) return undefined;
  if (/^2([.,]4)?$/.test(text)) return '2.4';
  return text === '5' || text === '6' ? text : undefined;
}
