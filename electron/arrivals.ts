/** Which guests have come here since the last status: pure. */
import type { Status } from '../src/api/index.ts';

/** Guests that were on their way or elsewhere. */
export type Absent = ReadonlySet<string>;

export const noAbsent: Absent = new Set();

/** What runs when the app starts has not arrived: nothing was known of it before. */
export function arrivals(
  absent: Absent,
  { guests }: Pick<Status, 'guests'>,
): { readonly arrived: readonly string[]; readonly absent: Absent } {
  const kinds = new Map(guests.map(({ id, state }) => [id, state.kind]));
  const arrived = guests.filter(({ id, display, state }) => {
    return state.kind === 'running' && display !== 'none' && absent.has(id);
  });
  const away = [...kinds].filter(([, kind]) => kind === 'elsewhere' || kind === 'moving-in');
  return { arrived: arrived.map(({ id }) => id), absent: new Set(away.map(([id]) => id)) };
}
