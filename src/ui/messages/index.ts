/** The texts of the window in every language that it speaks. */
import { en, type Messages } from './en.ts';
import { ja } from './ja.ts';

export type { Messages } from './en.ts';

export const languages = { en, ja } satisfies Record<string, Messages>;
export type Language = keyof typeof languages;

export function isLanguage(text: unknown): text is Language {
  return typeof text === 'string' && Object.hasOwn(languages, text);
}

/** The first language of a person that the window speaks, else English. */
export function preferredLanguage(wanted: readonly string[]): Language {
  const known = wanted.map((tag) => tag.toLowerCase().split('-')[0]).find(isLanguage);
  return known ?? 'en';
}
