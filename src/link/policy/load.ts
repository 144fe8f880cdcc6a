import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { errorText, SojournError } from '../../common/index.ts';
import { defaultRules, type Rules, rulesSchema } from './rules.ts';

const MAX_BYTES = 256 * 1024;

/** Rules of a JSON file, or the defaults. Throws `rules-missing`, `rules-malformed`. */
export async function loadRules(file: string | undefined): Promise<Rules> {
  if (file === undefined) return defaultRules;
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new SojournError({
      kind: cause.code === 'ENOENT' ? 'not-found' : 'usage',
      code: 'rules-missing',
      message: `${file} cannot be read`,
      remedy: 'Give the name of a file with rules',
      cause,
    });
  });
  if (text.length > MAX_BYTES) throw malformed(file, 'it is far too long');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw malformed(file, errorText(error));
  }
  const { data, error } = rulesSchema.safeParse(document);
  if (data === undefined) throw malformed(file, z.prettifyError(error).replace(/\s*\n\s*/g, ' '));
  return data;
}

function malformed(file: string, why: string): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'rules-malformed',
    message: `${file} holds no rules that can be followed: ${why}`,
    remedy: 'Correct it; "sojourn policy explain --json" prints rules that are valid',
  });
}
