/** Others' names in menus: shown as they are, but never as anything else than a name. */
import { plainText } from '../../src/common/index.ts';

/** Characters; a place may have 64. */
const MAX_NAME = 40;
const MAX_SENTENCE = 120;

/** They would show what follows from right to left, so that a name could pose as another one (UAX #9, 2). */
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

export function nameLabel(name: string): string {
  return shortened(name, MAX_NAME);
}

export function sentenceLabel(text: string): string {
  return shortened(text, MAX_SENTENCE);
}

function shortened(text: string, max: number): string {
  // Not cut within a character that takes two code units.
  const characters = [...plainText(text).replace(DIRECTION, '').trim()];
  return characters.length <= max
    ? characters.join('')
    : `${characters.slice(0, max - 1).join('')}…`;
}

/** A single `&` would mark the letter behind it as a shortcut. */
export function withoutMnemonic(label: string): string {
  return label.replaceAll('&', '&&');
}
