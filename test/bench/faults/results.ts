/** The file that keeps results, one JSON line a trial, and the table of what is covered. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { FAULTS, type Fault, faultName, PHASE_NAMES, type Phase } from './plan.ts';
import { type TrialResult, trialResult } from './trial.ts';

export class ResultsFile {
  readonly #path: string;
  readonly #known = new Map<string, TrialResult>();

  /** `resume`: what it has counts. Throws ZodError or SyntaxError when the file is not one of these. */
  constructor(path: string, resume: boolean) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true });
    if (!resume || !existsSync(path)) return;
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      if (line === '') continue;
      const one = trialResult.parse(JSON.parse(line));
      this.#known.set(one.trial, one);
    }
  }

  /** One that missed its moment has covered nothing. */
  isDone(trial: string): boolean {
    return this.#known.get(trial)?.outcome === 'passed';
  }

  find(trial: string): TrialResult | undefined {
    return this.#known.get(trial);
  }

  keep(one: TrialResult): void {
    this.#known.set(one.trial, one);
    appendFileSync(this.#path, `${JSON.stringify(one)}\n`);
  }

  get all(): TrialResult[] {
    return [...this.#known.values()];
  }
}

/** Trials passed of those carried out, phases by faults; `m`: so many missed their moment. */
export function coverage(results: readonly TrialResult[]): string {
  const phases = PHASE_NAMES.filter((name) => results.some(({ phase }) => phase === name));
  const faults = FAULTS.filter((fault) => results.some((one) => one.fault === faultName(fault)));
  const rows = [
    ['', ...phases],
    ...faults.map((fault) => [
      faultName(fault),
      ...phases.map((phase) => cell(results, phase, fault)),
    ]),
  ];
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const lines = rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths?.[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, '', summary(results)].join('\n');
}

function cell(results: readonly TrialResult[], phase: Phase, fault: Fault): string {
  const here = results.filter((one) => one.phase === phase && one.fault === faultName(fault));
  if (here.length === 0) return '-';
  const count = (outcome: TrialResult['outcome']) =>
    here.filter((one) => one.outcome === outcome).length;
  const missed = count('missed');
  const failed = count('failed');
  return `${count('passed')}/${count('passed') + failed}${missed > 0 ? ` m${missed}` : ''}${failed > 0 ? ' !' : ''}`;
}

function summary(results: readonly TrialResult[]): string {
  const most = (key: 'silenceMs' | 'standstillMs' | 'settledMs') =>
    Math.max(0, ...results.map((one) => one[key]));
  const rearmed = Math.max(0, ...results.map(({ rearmedMs }) => rearmedMs ?? 0));
  const count = (outcome: TrialResult['outcome']) =>
    results.filter((one) => one.outcome === outcome).length;
  return [
    `${count('passed')} passed, ${count('failed')} failed, ${count('missed')} missed their moment`,
    `at most: silent ${seconds(most('silenceMs'))}, stood still ${seconds(most('standstillMs'))} (frozen or in doubt included),`,
    `in one place by both statuses ${seconds(most('settledMs'))} after all parts were back, armed again ${seconds(rearmed)} later`,
  ].join('\n');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
