// `npm run bench -- NAME ...`: runs one bench of this folder. NAME is a file (`link.ts`) or a folder with a `main.ts`.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

const here = import.meta.dirname;

function entryOf(name: string): string | undefined {
  if (!/^[a-z][a-z-]*$/.test(name)) return undefined;
  return [join(here, `${name}.ts`), join(here, name, 'main.ts')].find(
    (path) => path !== import.meta.filename && existsSync(path),
  );
}

function names(): string[] {
  return readdirSync(here)
    .map((entry) => entry.replace(/\.ts$/, ''))
    .filter((name) => entryOf(name) !== undefined)
    .sort();
}

const [name = '', ...rest] = process.argv.slice(2);
const entry = entryOf(name);
if (entry === undefined) {
  console.error(`usage: npm run bench -- NAME [options]\nbenches: ${names().join(', ')}`);
  process.exitCode = 2;
} else {
  const { exitCode, signal } = await execa(process.execPath, [entry, ...rest], {
    stdio: 'inherit',
    reject: false,
  });
  process.exitCode = exitCode ?? (signal === undefined ? 1 : 130);
}
