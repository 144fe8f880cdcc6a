/** What a person has chosen for this browser. Kept by the browser; what cannot be read or kept is not missed. */
import { isLanguage, type Language, preferredLanguage } from '../messages/index.ts';

const KEY = 'sojourn-preferences';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

export interface Preferences {
  readonly language: Language;
  readonly theme: Theme;
}

export function loadPreferences(): Preferences {
  const { language, theme } = stored();
  return {
    language: isLanguage(language) ? language : preferredLanguage(navigator.languages),
    theme: themes.find((one) => one === theme) ?? 'system',
  };
}

function stored(): { language?: unknown; theme?: unknown } {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') ?? {};
  } catch {
    return {};
  }
}

export function keepPreferences(preferences: Preferences): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // A browser without storage: the choice lasts as long as the page.
  }
}

/** Both are attributes of the page, which the style sheet and screen readers go by. */
export function applyPreferences({ language, theme }: Preferences): void {
  document.documentElement.lang = language;
  document.documentElement.dataset.theme = theme;
}
