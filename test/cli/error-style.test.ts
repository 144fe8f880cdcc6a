/**
 * How errors are written, all over the sources: a message begins like a sentence and has no full stop; commands are in
 * double quotes and exist. What each error says is tested where it happens.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/program/index.ts';

const SOURCES = join(import.meta.dirname, '..', '..', 'src');

interface Text {
  readonly where: string;
  readonly key: 'message' | 'remedy';
  /** As in the source, placeholders included. */
  readonly text: string;
}

/** Literals that follow `message:` or `remedy:` where an error is made. */
function texts(): Text[] {
  // Other languages have no capital letters.
  const others = ['ui/messages/ja.ts', 'ui/messages/receiving-ja.ts'];
  return globSync('**/*.ts', { cwd: SOURCES, exclude: others }).flatMap((file) => {
    const source = readFileSync(join(SOURCES, file), 'utf8');
    const literals = source.matchAll(
      /\b(message|remedy):\s*(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g,
    );
    return [...literals].map((found) => {
      const [, key, single, double, template] = found;
      const line = source.slice(0, found.index).split('\n').length;
      return {
        where: `${file}:${line}`,
        key: key as Text['key'],
        text: single ?? double ?? template ?? '',
      };
    });
  });
}

const all = texts();

test('there are errors to look at', () => {
  expect(all.length).toBeGreaterThan(150);
});

test('a message or a remedy begins with a capital letter, a name, or a program', () => {
  const wrong = all.filter(({ text }) => !/^([A-Z$"-]|qemu-img )/.test(text));
  expect(wrong).toEqual([]);
});

test('it has no full stop at its end, and commands are not in backticks', () => {
  // `sojourn1.` is how an invite begins.
  const wrong = all.filter(
    ({ text }) => (text.endsWith('.') && !text.endsWith('sojourn1.')) || text.includes('\\`'),
  );
  expect(wrong).toEqual([]);
});

test('commands that are advised exist, with their options', () => {
  const program = buildProgram('0');
  const advised = all.flatMap(({ where, text }) =>
    [...text.matchAll(/"(sojourn(?: [^"]*)?)"/g)].map(([, command = '']) => ({ where, command })),
  );
  expect(advised.length).toBeGreaterThan(30);
  expect(advised.filter(({ command }) => !exists(program, command))).toEqual([]);
});

function exists(program: Command, command: string): boolean {
  const words = command.split(/\s+/).slice(1);
  let found = program;
  let depth = 0;
  for (const word of words) {
    const next = found.commands.find(
      (child) => child.name() === word || child.aliases().includes(word),
    );
    if (next === undefined) break;
    found = next;
    depth += 1;
  }
  const options = words.filter((word) => word.startsWith('--'));
  const known = found.options.map(({ long }) => long);
  const isGroup = found.name() === 'guest' || found.name() === 'image';
  return depth > 0 && !isGroup && options.every((one) => known.includes(one));
}
