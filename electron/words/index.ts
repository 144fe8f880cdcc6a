/** What tray, notifications and dialogs say, in the languages of the window. */
import { en, type Words } from './en.ts';
import { ja } from './ja.ts';

export type { Words } from './en.ts';

export type Language = 'en' | 'ja';

const languages: Readonly<Record<Language, Words>> = { en, ja };

export function wordsOf(language: Language): Words {
  return languages[language];
}

/** Of the locale that Electron tells, `ja-JP`. */
export function languageOf(locale: string): Language {
  return locale.toLowerCase().startsWith('ja') ? 'ja' : 'en';
}
