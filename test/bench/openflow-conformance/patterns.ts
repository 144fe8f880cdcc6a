/** Pattern files of os-ken's switch tester: `["description", {"description": "...", ...}, ...]`. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import type { Verdict } from './tester.ts';

const patternFile = z.tuple([z.string()], z.looseObject({ description: z.string().optional() }));

export interface PatternFile {
  /** Below the folder. */
  readonly path: string;
  /** `match: 29_ICMPV6_TYPE`. */
  readonly group: string;
  readonly tests: readonly { readonly description?: string | undefined }[];
}

export async function readPatterns(directory: string): Promise<PatternFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    paths.map(async (path) => {
      const [group, ...tests] = patternFile.parse(JSON.parse(await readFile(path, 'utf8')));
      return { path: relative(directory, path), group, tests };
    }),
  );
}

/** Writes the files with those of their tests that are wanted. @returns how many tests. */
export async function writePatterns(
  directory: string,
  files: readonly PatternFile[],
  wanted: (group: string, pattern: string) => boolean,
): Promise<number> {
  let count = 0;
  for (const { path, group, tests } of files) {
    const chosen = tests.filter(({ description = '' }) => wanted(group, description));
    if (chosen.length === 0) continue;
    count += chosen.length;
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), JSON.stringify([group, ...chosen]));
  }
  return count;
}

export const keyOf = ({ group, pattern }: Pick<Verdict, 'group' | 'pattern'>): string =>
  `${group} ${pattern}`;
