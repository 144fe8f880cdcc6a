/** The files of gateways and mappings. */
import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { errorText, SojournError } from '../../common/index.ts';
import { type Mapping, mappingSchema, type Network, networkSchema } from '../flows/index.ts';

/** Some 100,000 mappings of twenty places. */
const MAX_BYTES = 256 * 1024 * 1024;
const MAX_MAPPINGS = 1_000_000;

/** @throws SojournError `file-missing`, `controller-file` */
export function readNetwork(path: string): Promise<Network> {
  return read(path, networkSchema);
}

/** @throws SojournError `file-missing`, `controller-file` */
export function readMappings(path: string): Promise<Mapping[]> {
  return read(path, z.array(mappingSchema).max(MAX_MAPPINGS));
}

async function read<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  let text: string;
  try {
    if ((await stat(path)).size > MAX_BYTES)
      throw wrong(path, `it has more than ${MAX_BYTES} bytes`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof SojournError) throw error;
    throw new SojournError({
      kind: 'not-found',
      code: 'file-missing',
      message: `${path} cannot be read: ${errorText(error)}`,
      cause: error,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(path, errorText(error), error);
  }
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data as T;
  const [issue] = error.issues;
  throw wrong(path, `at ${issue?.path.join('.') || 'its beginning'}: ${issue?.message}`, error);
}

function wrong(path: string, why: string, cause?: unknown): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'controller-file',
    message: `${path} cannot be used: ${why}`,
    remedy: 'Correct the file; the README says what is in it',
    ...(cause !== undefined && { cause }),
  });
}
