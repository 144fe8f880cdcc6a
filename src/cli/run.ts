import { CommanderError } from 'commander';
import { programVersion } from '../api/index.ts';
import { asSojournError } from '../common/index.ts';
import { exitCodes } from './exit-codes.ts';
import { Output } from './output.ts';
import { buildProgram } from './program/index.ts';

/** Runs one command line and sets the exit code; never rejects. */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader that went away (`sojourn status | head -1`) is no error.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      process.exit(error.code === 'EPIPE' ? 0 : exitCodes.internal.code);
    });
  }
  try {
    await buildProgram(programVersion()).parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : exitCodes.usage.code;
      return;
    }
    const known = asSojournError(error);
    new Output({ json: argv.includes('--json') }).error(known);
    if (known.kind === 'internal' && process.env.SOJOURN_DEBUG) console.error(error);
    process.exitCode = exitCodes[known.kind].code;
  }
}
