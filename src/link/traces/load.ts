/** Reads recordings of every known format; what a file is decides its content, not its name. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { SojournError } from '../../common/index.ts';
import { isIwDumps, parseIwDumps } from './iw-dumps.ts';
import { isRecording, parseRecording } from './recording.ts';
import type { Trace } from './trace.ts';
import { isVehiclesCsv, parseVehiclesCsv } from './vehicles.ts';

/** A recording of a day at 2 Hz has some 60 MB. */
const MAX_TEXT_BYTES = 512 * 1024 * 1024;
const names = /\.(csv|json|jsonl|ndjson)(\.gz)?$/i;

export interface LoadedTrace extends Trace {
  /** Path below the folder that was given; its directory names the set. */
  readonly file: string;
}

/** A file, or all below a folder; files of other kinds are passed over. Throws `trace-missing`, `trace-malformed`. */
export async function loadTraces(path: string): Promise<LoadedTrace[]> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) throw missing(path);
  const files = info.isDirectory()
    ? (await readdir(path, { recursive: true }))
        .map((name) => join(path, name))
        .filter((name) => names.test(name))
    : [path];
  const root = info.isDirectory() ? path : dirname(path);
  const traces: LoadedTrace[] = [];
  for (const file of files.sort()) {
    const found = parseTrace(basename(file), await textOf(file));
    if (found === undefined && !info.isDirectory()) throw unknownFormat(path);
    for (const trace of found ?? []) traces.push({ ...trace, file: relative(root, file) });
  }
  return traces;
}

/** Undefined for text of an unknown format. */
export function parseTrace(name: string, text: string): Trace[] | undefined {
  const end = text.indexOf('\n');
  const firstLine = end < 0 ? text : text.slice(0, end);
  if (isVehiclesCsv(firstLine)) return parseVehiclesCsv(name, text);
  if (isRecording(firstLine)) return parseRecording(name, text);
  if (isIwDumps(firstLine)) return parseIwDumps(name, text);
  return undefined;
}

async function textOf(file: string): Promise<string> {
  const bytes = await readFile(file);
  if (!file.endsWith('.gz')) return bytes.toString('utf8');
  try {
    return (await promisify(gunzip)(bytes, { maxOutputLength: MAX_TEXT_BYTES })).toString('utf8');
  } catch (cause) {
    throw new SojournError({
      kind: 'usage',
      code: 'trace-malformed',
      message: `${file} cannot be unpacked`,
      remedy: 'Fetch the recording again',
      cause,
    });
  }
}

function missing(path: string): SojournError {
  return new SojournError({
    kind: 'not-found',
    code: 'trace-missing',
    message: `There is no recording at ${path}`,
    remedy: 'Give a file or a folder of recordings',
  });
}

function unknownFormat(path: string): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'trace-malformed',
    message: `${path} is no recording of a known format`,
    remedy:
      'Give a recording made by "sojourn link record", or one of the formats of the link bench',
  });
}
