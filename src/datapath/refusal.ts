import { SojournError } from '../common/index.ts';

/** What a caller is told about a step that the switchover machine has refused. */
export function refusal(code: string, guestId: string): SojournError {
  const why: Readonly<Record<string, string>> = {
    'epoch-stale': 'the epoch is out of date, so the guest has moved since',
    'guest-not-here': 'the guest does not run here',
    'switchover-under-way': 'a switchover is under way',
    'not-held': 'no switchover was begun, or it has timed out',
  };
  return new SojournError({
    kind: 'conflict',
    code,
    message: `The datapath refuses to change the mapping of guest ${guestId}: ${why[code] ?? code}`,
  });
}
