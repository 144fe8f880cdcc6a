/** What agents and guests of a test said last: on another machine nobody can look it up afterwards. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Enough for a handoff and what came before it. */
const KEPT_LINES = 60;
const KEPT_CONSOLE = 3_000;
/** Level of pino below which only the stages of handoffs are of interest. */
const INFO = 30;

const states = new Set<string>();
const recent: string[] = [];

/** `line`: of the log of the agent with that state directory, as it was written. */
export function noteLine(state: string, line: string): void {
  states.add(state);
  const level = Number(/"level":(\d+)/.exec(line)?.[1] ?? INFO);
  if (level < INFO && !line.includes('"msg":"handoff')) return;
  recent.push(`${state}: ${line}`);
  if (recent.length > KEPT_LINES) recent.shift();
}

export function recentLines(): string {
  const consoles = [...states].flatMap((state) =>
    globSync(join(state, 'guests', '*', '*.log')).map((path) => {
      const text = readFileSync(path, 'latin1').slice(-KEPT_CONSOLE);
      return `End of ${path}:\n${text}`;
    }),
  );
  return [...recent, ...consoles].join('\n');
}

export function forgetLines(): void {
  recent.length = 0;
}
