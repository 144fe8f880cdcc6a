/**
 * Watches over one lab run from outside: `node guard.ts MARKS-JSON`. When its standard input closes,
 * because the lab is done or because the program that made it died, it removes what is left of the run.
 */
import { once } from 'node:events';
import { z } from 'zod';
import { removeRun } from './leftovers.ts';

const marks = z.object({
  run: z.string().startsWith('sojourn-lab-'),
  namespaces: z.array(z.string().startsWith('net:')),
});

const watched = marks.parse(JSON.parse(process.argv[2] ?? ''));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.stdin.resume();
await once(process.stdin, 'end');
await removeRun(watched);
