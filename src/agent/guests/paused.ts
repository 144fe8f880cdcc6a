import { SojournError } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';

/** A guest that waits for room cannot do what was asked. `instead`: what may be done instead of giving it room. */
export function guestPaused(spec: GuestSpec, cannot: string, instead: string): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'guest-paused',
    message: `${spec.name} is paused, because there is no room for what it writes, and ${cannot}`,
    remedy: `Give it more room with "sojourn guest limit ${spec.name} SIZE", ${instead}`,
  });
}
