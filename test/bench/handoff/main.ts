/** `npm run bench -- handoff`: see options.ts for what it can be told, results.ts for what it prints. */
import { join, resolve } from 'node:path';
import { asSojournError } from '../../../src/common/index.ts';
import { enterLab } from '../../lab/index.ts';
import { type Cell, cellName, FILLED_MIB, MEMORY_MIB } from './cases.ts';
import { GOOD_LINK_MBIT, runCell } from './cell.ts';
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { referenceArguments } from './reference-guest.ts';
import { linkText, type Result, ResultsFile, table } from './results.ts';

const INTERRUPTED = 130;

function header({ cells, limitMs, results }: BenchOptions): string {
  const limits = [...new Set(cells.map(({ method }) => limitMs(method) / 1000))].join(' or ');
  return [
    `A guest of ${MEMORY_MIB} MiB with ${FILLED_MIB} MiB of random content resident; ${cells.length} cells, each ended ${limits} s after its trigger.`,
    `"armed" is armed at ${GOOD_LINK_MBIT} Mbit/s, while the link is good; then the link gets the rate of the case, and the`,
    'upkeep is measured and the handoff triggered. All other methods have the rate of the case from the beginning.',
    'Plain QEMU and virsh are helped by a bridged network over both places, which neither of them brings.',
    results === undefined ? 'Results are not kept.' : `Results are kept in ${results}`,
  ].join('\n');
}

/** Returns the exit code: 0 when every cell has a result, convergence or not. */
async function bench(options: BenchOptions): Promise<number> {
  const say = (text: string) => (options.json ? process.stderr : process.stdout).write(`${text}\n`);
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => abort.abort(new Error('interrupted')));
  const file = options.results === undefined ? undefined : new ResultsFile(options.results);
  const found: Result[] = [];
  const failed: string[] = [];
  let argv: string[] | undefined;
  say(`${header(options)}\n`);
  for (const [index, cell] of options.cells.entries()) {
    const name = `${index + 1}/${options.cells.length} ${linkText(cell.case)}, ${cell.case.load}, ${cell.method}`;
    const known = options.resume ? file?.find(cell) : undefined;
    if (known === undefined) say(name);
    try {
      argv ??= needsArguments(cell) && !known ? await referenceArguments(abort.signal) : undefined;
      const one = known ?? (await measured(cell, options, argv ?? [], abort.signal, say));
      if (known === undefined) await file?.keep(one);
      found.push(one);
      if (options.json) process.stdout.write(`${JSON.stringify(one)}\n`);
    } catch (error) {
      if (abort.signal.aborted) break;
      failed.push(`${name}: ${asSojournError(error).message}`);
      say(`        FAILED: ${asSojournError(error).message}`);
    }
  }
  if (!options.json && found.length > 0) say(`\n${table(found)}`);
  for (const each of failed) say(`NOT MEASURED: ${each}`);
  if (abort.signal.aborted) return INTERRUPTED;
  return failed.length === 0 ? 0 : 1;
}

function needsArguments({ method }: Cell): boolean {
  return method === 'plain' || method === 'virsh';
}

function measured(
  cell: Cell,
  { limitMs, evidence }: BenchOptions,
  argv: readonly string[],
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<Result> {
  const startedAt = performance.now();
  const tell = (text: string): void => {
    const seconds = (performance.now() - startedAt) / 1000;
    say(`${seconds.toFixed(1).padStart(6)} s  ${text}`);
  };
  const folder = evidence === undefined ? undefined : join(resolve(evidence), cellName(cell));
  return runCell(cell, { limitMs: limitMs(cell.method), evidence: folder, argv, signal, tell });
}

async function main(): Promise<number> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === undefined) {
      process.stdout.write(USAGE);
      return 0;
    }
    await enterLab();
    return await bench(options);
  } catch (error) {
    const known = asSojournError(error);
    process.stderr.write(`bench: ${known.kind === 'internal' ? known.message : known.line}\n`);
    return known.kind === 'usage' ? 2 : 1;
  }
}

process.exit(await main());
