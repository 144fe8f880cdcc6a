/** The command line of the bench. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SojournError } from '../../../src/common/index.ts';
import { type Cell, cells, EVERYTHING, LOADS, type Load, METHODS, type Method } from './cases.ts';

export const RESULTS_FILE = fileURLToPath(
  new URL('../../../.cache/bench/handoff.jsonl', import.meta.url),
);
/** A cell ends so long after its trigger. */
const LIMIT_MS = 600_000;
/** Of --quick: for plain long enough to take 150 times what the armed one may take; all within six minutes. */
const QUICK_LIMITS_MS: Partial<Record<Method, number>> = { plain: 90_000, armed: 30_000 };

export interface BenchOptions {
  readonly json: boolean;
  readonly quick: boolean;
  readonly cells: readonly Cell[];
  readonly limitMs: (method: Method) => number;
  /** Folder for a folder of evidence of each cell; undefined: it goes with the cell. */
  readonly evidence: string | undefined;
  /** Print cells that the results file has instead of measuring them. */
  readonly resume: boolean;
  /** Undefined: results are not kept, because they were not taken under the full limit. */
  readonly results: string | undefined;
}

export const USAGE = `npm run bench -- handoff [options]

Moves a running guest of 1 GiB over an emulated link, by plain QEMU, by libvirt and by Sojourn, and measures what
somebody on a third network notices of it.

  --quick           idle guest, 5 Mbit/s, 50 ms, plain and armed, at most 6 minutes, so
                    that plain is ended ${(QUICK_LIMITS_MS.plain ?? LIMIT_MS) / 1000} s after its trigger
  --json            one JSON object a line on standard output (use: npm run -s bench -- handoff --json)
  --resume          do not measure cells again that the results file has, print what it has of them
  --results FILE    results file (default .cache/bench/handoff.jsonl)
  --evidence DIR    leave raw logs, captures and command lines of each cell in a folder of DIR
  --limit SECONDS   end a cell so long after its trigger (default 600)
  --case MBIT/RTT/LOAD, e.g. 5/50/idle; and by parts, each may be given several times:
  --mbit N          ${EVERYTHING.mbit.join(', ')}
  --rtt MS          ${EVERYTHING.rttMs.join(', ')}
  --load LOAD       ${EVERYTHING.load.join(', ')}
  --method METHOD   ${METHODS.join(', ')}
  --help            print this
`;

/** Undefined when only help was asked for. Throws SojournError (`usage`). */
export function parseOptions(argv: readonly string[]): BenchOptions | undefined {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        resume: { type: 'boolean', default: false },
        results: { type: 'string', default: RESULTS_FILE },
        evidence: { type: 'string' },
        limit: { type: 'string' },
        case: { type: 'string', multiple: true },
        mbit: { type: 'string', multiple: true },
        rtt: { type: 'string', multiple: true },
        load: { type: 'string', multiple: true },
        method: { type: 'string', multiple: true },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return undefined;
    const { json, quick, resume, evidence } = values;
    const limitMs = values.limit === undefined ? undefined : positive(values.limit) * 1000;
    const complete = !quick && limitMs === undefined;
    return {
      ...{ json, quick, evidence, resume: resume && complete },
      cells: quick ? QUICK_CELLS : chosen(values),
      limitMs: (method) => limitMs ?? (quick ? QUICK_LIMITS_MS[method] : undefined) ?? LIMIT_MS,
      results: complete ? values.results : undefined,
    };
  } catch (cause) {
    throw new SojournError({
      kind: 'usage',
      code: 'command-line',
      message: (cause as Error).message,
      remedy: 'See npm run bench -- handoff --help',
      cause,
    });
  }
}

const QUICK_CELLS: readonly Cell[] = (['plain', 'armed'] as const).map((method) => ({
  case: { mbit: 5, rttMs: 50, load: 'idle' },
  method,
}));

interface Filters {
  readonly case?: readonly string[] | undefined;
  readonly mbit?: readonly string[] | undefined;
  readonly rtt?: readonly string[] | undefined;
  readonly load?: readonly string[] | undefined;
  readonly method?: readonly string[] | undefined;
}

function chosen(filters: Filters): Cell[] {
  const method = filters.method?.map(methodNamed) ?? EVERYTHING.method;
  if (filters.case !== undefined) {
    if (filters.mbit ?? filters.rtt ?? filters.load)
      throw new Error('--case says link and load already');
    return filters.case.flatMap((text) => {
      const [mbit = '', rtt = '', load = ''] = text.split('/');
      const one = { mbit: [positive(mbit)], rttMs: [positive(rtt)], load: [loadNamed(load)] };
      return cells({ ...one, method });
    });
  }
  return cells({
    mbit: filters.mbit?.map(positive) ?? EVERYTHING.mbit,
    rttMs: filters.rtt?.map(positive) ?? EVERYTHING.rttMs,
    load: filters.load?.map(loadNamed) ?? EVERYTHING.load,
    method,
  });
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1e6)) throw new Error(`${text || 'nothing'} is no usable number`);
  return value;
}

function loadNamed(name: string): Load {
  if (!Object.hasOwn(LOADS, name)) throw new Error(`There is no load ${name}`);
  return name as Load;
}

function methodNamed(name: string): Method {
  const method = METHODS.find((each) => each === name);
  if (method === undefined) throw new Error(`There is no method ${name}`);
  return method;
}
