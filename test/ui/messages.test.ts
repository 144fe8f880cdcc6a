/** That no message is missing is the compiler's business; here is what it cannot see. */
import { expect, test } from 'vitest';
import { languages, preferredLanguage } from '../../src/ui/messages/index.ts';

type Tree = { readonly [key: string]: unknown };

function texts(tree: Tree, path = ''): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    const here = path === '' ? key : `${path}.${key}`;
    if (typeof value === 'string') found.set(here, value);
    else if (typeof value === 'function') {
      const args = Array.from({ length: value.length }, (_, at) => `<${at}>`);
      found.set(here, String(value(...args)));
    } else for (const [name, text] of texts(value as Tree, here)) found.set(name, text);
  }
  return found;
}

const en = texts(languages.en);
const ja = texts(languages.ja);

test('every language has the same messages, and says something in each', () => {
  expect([...ja.keys()].sort()).toEqual([...en.keys()].sort());
  expect(en.size).toBeGreaterThan(250);
  for (const [name, text] of [...en, ...ja]) expect(text.trim(), name).not.toBe('');
});

test('what goes into a message comes out of it, in every language', () => {
  for (const [name, text] of en) {
    const parts = [...text.matchAll(/<\d>/g)].map(([part]) => part).sort();
    const other = [...(ja.get(name) ?? '').matchAll(/<\d>/g)].map(([part]) => part).sort();
    expect(other, name).toEqual(parts);
  }
});

test('Japanese is translated', () => {
  // Names, units and signs are the same everywhere.
  const same = [...en].filter(([name, text]) => /[a-z]{4}/.test(text) && ja.get(name) === text);
  expect(same.map(([name]) => name)).toEqual(['pair.placeholder']);
});

test('the first language that is spoken is taken', () => {
  expect(preferredLanguage(['fr-FR', 'ja-JP', 'en'])).toBe('ja');
  expect(preferredLanguage(['en-GB', 'ja'])).toBe('en');
  expect(preferredLanguage(['fr', '__proto__'])).toBe('en');
  expect(preferredLanguage([])).toBe('en');
});
