/** `node judge/main.ts FILE`: prints the verdict on a trial as JSON; exit code 1 when something is wrong. */
import { readFileSync } from 'node:fs';
import { judge } from './check.ts';

const verdict = judge(readFileSync(process.argv[2] ?? 0, 'utf8'));
process.stdout.write(`${JSON.stringify(verdict)}\n`);
process.exitCode = verdict.problems.length === 0 ? 0 : 1;
