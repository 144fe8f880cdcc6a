/**
 * `npm test`: type check, lint, unit tests, integration tests, those that run alone; `--slow`: the slow tests alone. Further
 * arguments choose test files by parts of their names, without the checks.
 * The last line is always `N passed, N failed`; a check that fails counts as one failed test.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { z } from 'zod';

const root = join(import.meta.dirname, '..');
/** Far above what they take: a busy machine shall fail no test. */
const LIMIT_MS = { normal: 45 * 60_000, slow: 80 * 60_000 };

interface Outcome {
  passed: number;
  failed: number;
  skipped: number;
  files: { name: string; seconds: number; failed: number }[];
}

/** What is read of vitest's JSON report. */
const report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      startTime: z.number(),
      endTime: z.number(),
      assertionResults: z.array(z.object({ status: z.string() })),
    }),
  ),
});

const { values: options, positionals: filters } = parseArgs({
  options: { slow: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const deadline = AbortSignal.timeout(options.slow ? LIMIT_MS.slow : LIMIT_MS.normal);

async function run(command: string, args: string[]): Promise<boolean> {
  const { failed } = await execa(command, args, {
    cwd: root,
    preferLocal: true,
    stdio: ['ignore', 'inherit', 'inherit'],
    cancelSignal: deadline,
    forceKillAfterDelay: 5000,
    reject: false,
  });
  return !failed;
}

async function check(name: string, command: string, args: string[]): Promise<Outcome> {
  const started = Date.now();
  const ok = await run(command, args);
  const failed = ok ? 0 : 1;
  const seconds = (Date.now() - started) / 1000;
  return { passed: 1 - failed, failed, skipped: 0, files: [{ name, seconds, failed }] };
}

async function vitest(project: string): Promise<Outcome> {
  const file = join(root, '.cache', 'test', `${project}.json`);
  await rm(file, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const options = filters.length > 0 ? ['--passWithNoTests', ...filters] : [];
  const ok = await run('vitest', ['run', `--project=${project}`, ...reporters, ...options]);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const outcome = count(text === undefined ? { testResults: [] } : report.parse(JSON.parse(text)));
  // Errors outside of any test, a crash, the deadline: vitest fails although no test of it did.
  if ((!ok || text === undefined) && outcome.failed === 0) {
    outcome.failed = 1;
    outcome.files.push({ name: `${project} (outside of the tests)`, seconds: 0, failed: 1 });
  }
  return outcome;
}

function count({ testResults }: z.infer<typeof report>): Outcome {
  const outcome: Outcome = { passed: 0, failed: 0, skipped: 0, files: [] };
  for (const file of testResults) {
    const having = (status: string) =>
      file.assertionResults.filter((test) => test.status === status).length;
    const passed = having('passed');
    // A file that could not be loaded fails without tests.
    const failed = Math.max(having('failed'), file.status === 'failed' ? 1 : 0);
    outcome.passed += passed;
    outcome.failed += failed;
    outcome.skipped += Math.max(file.assertionResults.length - passed - having('failed'), 0);
    const seconds = Math.max(file.endTime - file.startTime, 0) / 1000;
    outcome.files.push({ name: relative(root, file.name), seconds, failed });
  }
  return outcome;
}

async function all(): Promise<Outcome[]> {
  if (options.slow) return [await vitest('slow')];
  const outcomes: Outcome[] = [];
  if (filters.length === 0) {
    outcomes.push(await check('type check', 'tsc', ['--noEmit']));
    for (const folder of ['src/ui', 'test/ui'])
      outcomes.push(await check(`type check, ${folder}`, 'tsc', ['--noEmit', '-p', folder]));
    outcomes.push(await check('lint', 'biome', ['check', '--error-on-warnings', '.']));
  }
  for (const project of ['unit', 'integration', 'alone']) outcomes.push(await vitest(project));
  return outcomes;
}

const started = Date.now();
await mkdir(join(root, '.cache', 'test'), { recursive: true });
const outcomes = await all();
const sum = (key: 'passed' | 'failed' | 'skipped') =>
  outcomes.reduce((total, outcome) => total + outcome[key], 0);

console.log('\nSeconds  File');
for (const { name, seconds, failed } of outcomes.flatMap((outcome) => outcome.files))
  console.log(`${seconds.toFixed(1).padStart(7)}  ${name}${failed > 0 ? '  FAILED' : ''}`);
console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(7)}  in all`);
if (deadline.aborted) console.log('The time limit was reached: what was left did not run.');
if (sum('skipped') > 0) console.log(`${sum('skipped')} tests were skipped.`);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') > 0 || sum('passed') === 0 ? 1 : 0;
