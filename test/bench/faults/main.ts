/** `npm run bench -- faults`: see options.ts for what it can be told, trial.ts for what it prints. */
import { resolve } from 'node:path';
import { asSojournError } from '../../../src/common/index.ts';
import { enterLab } from '../../lab/index.ts';
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { ORDEAL_NAMES, type OrdealResult, runOrdeal } from './ordeals.ts';
import { allTrials, choose } from './plan.ts';
import { coverage, ResultsFile } from './results.ts';
import { runTrials } from './run.ts';

const INTERRUPTED = 130;

async function endure(names: readonly string[], { evidence, json }: BenchOptions): Promise<number> {
  let code = 0;
  for (const name of names.length > 0 ? names : ORDEAL_NAMES) {
    const result = await runOrdeal(name, resolve(evidence));
    if (result.outcome === 'failed') code = 1;
    if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else console.log(ordealText(result));
  }
  return code;
}

function ordealText({ ordeal, outcome, seconds, figures, problems }: OrdealResult): string {
  const lines = Object.entries(figures).map(([name, value]) => `          ${name}: ${value}`);
  return [
    `${outcome.padStart(8)}  ${ordeal}, ${seconds} s`,
    ...lines,
    ...problems.map((problem) => `          PROBLEM: ${problem}`),
  ].join('\n');
}

/** Returns the exit code: 0 when nothing has failed, now or in the results that were there. */
async function bench(options: BenchOptions): Promise<number> {
  const { seed, runs, filter, choice, limitMs, times, json } = options;
  const say = (text: string) => (json ? process.stderr : process.stdout).write(`${text}\n`);
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (interrupted) process.exit(INTERRUPTED);
      interrupted = true;
      say('ending after this trial; once more ends it now');
    });
  const file = new ResultsFile(resolve(options.results), options.resume);
  const all = allTrials(seed, runs, filter);
  const wanted = choice === undefined ? all : choose(seed, all, choice);
  const left = wanted.filter(({ name }) => !file.isDone(name));
  const began = performance.now();
  say(`${wanted.length} trials, seed ${seed}; ${wanted.length - left.length} have passed before`);
  await runTrials(left, {
    times,
    evidence: resolve(options.evidence),
    goOn: () => !interrupted && performance.now() - began < limitMs,
    onBegin: (trial, after) => say(`${trial.name}, from the ${trial.from}; ${after} after it`),
    onEnd: (one) => {
      file.keep(one);
      if (json) process.stdout.write(`${JSON.stringify(one)}\n`);
      const told = one.told === '' ? '' : `: ${one.told}`;
      say(`${one.outcome.padStart(8)}  ${one.seconds} s, ${one.end}${told}`);
      for (const problem of one.problems) say(`          ${problem}`);
    },
  });
  const found = wanted.flatMap(({ name }) => file.find(name) ?? []);
  say(
    `\nPassed of carried out; - : not yet carried out; m: the moment was missed\n${coverage(found)}`,
  );
  if (interrupted) return INTERRUPTED;
  return found.some(({ outcome }) => outcome === 'failed') ? 1 : 0;
}

async function main(): Promise<number> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === undefined) {
      process.stdout.write(USAGE);
      return 0;
    }
    await enterLab();
    if (options.ordeals !== undefined) return await endure(options.ordeals, options);
    return await bench(options);
  } catch (error) {
    const known = asSojournError(error);
    process.stderr.write(`bench: ${known.kind === 'internal' ? known.message : known.line}\n`);
    return known.kind === 'usage' ? 2 : 1;
  }
}

process.exit(await main());
