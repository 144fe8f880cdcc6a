import type { ErrorKind } from '../common/index.ts';

interface ExitCode {
  readonly code: number;
  readonly meaning: string;
}

/** The command's exit code for each kind of error; shown in `sojourn --help`. */
export const exitCodes: Readonly<Record<ErrorKind, ExitCode>> = {
  internal: { code: 1, meaning: 'a defect in Sojourn' },
  usage: { code: 2, meaning: 'the request itself is wrong' },
  'not-found': { code: 3, meaning: 'no such guest, place, image or file' },
  conflict: { code: 4, meaning: 'not possible in the present state' },
  requirement: { code: 5, meaning: 'this machine or the other place lacks something' },
  unreachable: { code: 6, meaning: 'the agent or a place does not answer' },
  refused: { code: 7, meaning: 'a place or a security rule said no' },
  cancelled: { code: 8, meaning: 'cancelled by a person or a deadline' },
};

/** Ended by a second Ctrl-C, as shells report death by SIGINT. */
export const INTERRUPTED = 130;

export function exitCodesHelp(): string {
  const lines = Object.values(exitCodes).map(({ code, meaning }) => `  ${code}    ${meaning}`);
  return [
    'Exit codes:',
    '  0    done',
    ...lines,
    `  ${INTERRUPTED}  interrupted a second time; what was under way may go on`,
  ].join('\n');
}
