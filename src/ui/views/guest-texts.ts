/** A guest's state and safety in words. */
import type { GuestState } from '../../api/schema.ts';
import type { Messages } from '../messages/index.ts';
import type { Safety } from '../model/safety.ts';
import type { Formats } from '../state/context.ts';

export function stateText(state: GuestState, { states }: Messages): string {
  switch (state.kind) {
    case 'elsewhere': {
      const { name } = state.place;
      return {
        running: states.elsewhere,
        paused: states.elsewherePaused,
        stopped: states.elsewhereStopped,
        unknown: states.elsewhereUnknown,
      }[state.there](name);
    }
    case 'moving-out':
      return states.movingOut(state.to.name);
    case 'moving-in':
      return states.movingIn(state.from.name);
    default:
      return states[state.kind];
  }
}

export function safetyText(
  found: Safety,
  { safety, pauseReasons }: Messages,
  { wait }: Formats,
): string {
  switch (found.kind) {
    case 'armed':
      return safety.armed(found.place, found.estimateMs === null ? null : wait(found.estimateMs));
    case 'filling':
      return safety.filling(found.place, found.percent);
    case 'waiting':
    case 'unavailable':
      return safety[found.kind](found.place);
    case 'away':
      return {
        running: safety.awayRunning,
        paused: safety.awayPaused,
        stopped: safety.awayStopped,
        unknown: safety.awayUnknown,
      }[found.there];
    case 'moving':
      return (found.direction === 'out' ? safety.movingOut : safety.movingIn)(found.percent);
    case 'paused':
      return safety.paused(pauseReasons[found.reason]);
    case 'crashed':
      return safety.crashed(found.reason);
    case 'in-doubt':
      return safety.inDoubt(found.place);
    case 'alone':
    case 'starting':
    case 'stopping':
    case 'stopped':
      return safety[found.kind];
  }
}
