/** The command line of the bench. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SojournError } from '../../../src/common/index.ts';
import { FAULT_TIMES, type FaultTimes } from './inject.ts';
import { FAULTS, type Filter, faultName, faultsNamed, PHASE_NAMES, phaseNamed } from './plan.ts';

const CACHE = fileURLToPath(new URL('../../../.cache/bench/', import.meta.url));
const RUNS = 10;

export interface BenchOptions {
  readonly json: boolean;
  readonly seed: number;
  readonly runs: number;
  readonly filter: Filter;
  /** So many of all trials, as different as can be; undefined: all. */
  readonly choice: number | undefined;
  /** Do not begin trials after this time, ms. */
  readonly limitMs: number;
  readonly times: FaultTimes;
  readonly resume: boolean;
  readonly results: string;
  readonly evidence: string;
  readonly ordeals: readonly string[] | undefined;
}

export const USAGE = `npm run bench -- faults [options]

Cuts and stalls the link, kills and freezes agents, datapaths, QEMUs and the registry in every phase of handoffs and
standbys, in both directions, and has each trial judged by what the guest itself reported to somebody outside.

  --runs N          of each phase with each fault (default ${RUNS}); the directions take turns
  --seed N          moments and lengths of the faults (default 1)
  --only KEY=NAME   phase=.. and fault=.., several with commas, each may be given several times; a fault's kind stands for
                    all of that kind: --only phase=armed,fault=kill
  --choice N        so many of them only, drawn from the seed, as different as can be
  --minutes N       begin no trial after so many minutes
  --freeze A-B      seconds that a freeze, cut or stall lasts (default ${FAULT_TIMES.leastMs / 1000}-${FAULT_TIMES.mostMs / 1000})
  --fresh           carry all out again; default: go on where the results file ends, and repeat what failed or missed
  --results FILE    results file, a JSON line a trial (default .cache/bench/faults.jsonl)
  --evidence DIR    logs and journals of failed trials (default .cache/bench/faults-evidence)
  --long [NAME]     instead, the trials that take minutes: see test/bench/faults/ordeals.ts
  --json            one JSON object a line on standard output
  --help            print this

phases  ${PHASE_NAMES.join(', ')}
faults  ${FAULTS.map(faultName).join(', ')}
`;

/** Undefined when only help was asked for. Throws SojournError (`usage`). */
export function parseOptions(argv: readonly string[]): BenchOptions | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        runs: { type: 'string', default: `${RUNS}` },
        seed: { type: 'string', default: '1' },
        only: { type: 'string', multiple: true, default: [] },
        choice: { type: 'string' },
        minutes: { type: 'string' },
        freeze: { type: 'string' },
        fresh: { type: 'boolean', default: false },
        results: { type: 'string', default: `${CACHE}faults.jsonl` },
        evidence: { type: 'string', default: `${CACHE}faults-evidence` },
        long: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return undefined;
    if (!values.long && positionals.length > 0) throw new Error(`What is ${positionals[0]}?`);
    const { json, results, evidence } = values;
    return {
      ...{ json, results, evidence, resume: !values.fresh },
      seed: whole(values.seed),
      runs: whole(values.runs),
      filter: filterOf(values.only),
      choice: values.choice === undefined ? undefined : whole(values.choice),
      limitMs: values.minutes === undefined ? Infinity : whole(values.minutes) * 60_000,
      times: values.freeze === undefined ? FAULT_TIMES : timesOf(values.freeze),
      ordeals: values.long ? positionals : undefined,
    };
  } catch (cause) {
    throw new SojournError({
      kind: 'usage',
      code: 'command-line',
      message: (cause as Error).message,
      remedy: 'See npm run bench -- faults --help',
      cause,
    });
  }
}

function whole(text: string): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 0 && value < 2 ** 31))
    throw new Error(`${text || 'nothing'} is no usable number`);
  return value;
}

function timesOf(text: string): FaultTimes {
  const [least, most] = text.split('-').map(Number);
  if (least === undefined || most === undefined || !(least > 0 && most >= least))
    throw new Error(`${text} is no range of seconds`);
  return { leastMs: least * 1000, mostMs: most * 1000 };
}

function filterOf(texts: readonly string[]): Filter {
  const pairs = texts.flatMap((text) => text.split(',')).map((pair) => pair.split('='));
  const named = (key: string) =>
    pairs.filter(([name]) => name === key).map(([, value = '']) => value);
  const unknown = pairs.find(([name]) => name !== 'phase' && name !== 'fault');
  if (unknown !== undefined) throw new Error(`--only knows phase and fault, not ${unknown[0]}`);
  const phases = named('phase').map(phaseNamed);
  const faults = named('fault').flatMap(faultsNamed);
  return {
    phases: phases.length > 0 ? phases : PHASE_NAMES,
    faults: faults.length > 0 ? faults : FAULTS,
  };
}
