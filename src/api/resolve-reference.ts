import { SojournError } from '../common/index.ts';

/** Shorter beginnings of an id are taken for mistyped names. */
const MIN_ID_PREFIX = 4;

/**
 * The one candidate that a person means by a name, an id or an unambiguous beginning of an id. A name
 * wins over an id. Errors: `guest-unknown`/`place-unknown`, `guest-ambiguous`/`place-ambiguous`.
 */
export function resolveReference<T extends { readonly id: string; readonly name: string }>(
  what: 'guest' | 'place',
  reference: string,
  candidates: readonly T[],
): T {
  const named = candidates.filter(({ name }) => name === reference);
  const matching =
    named.length > 0
      ? named
      : candidates.filter(
          ({ id }) =>
            id === reference || (reference.length >= MIN_ID_PREFIX && id.startsWith(reference)),
        );
  const [only, ...others] = matching;
  if (only === undefined) throw unknown(what, reference, candidates);
  if (others.length > 0) throw ambiguous(what, reference, matching);
  return only;
}

function unknown(
  what: 'guest' | 'place',
  reference: string,
  candidates: readonly { readonly name: string }[],
): SojournError {
  const names = candidates.map(({ name }) => name);
  const known = names.length > 0 ? `known here: ${names.join(', ')}` : `no ${what} is known here`;
  return new SojournError({
    kind: 'not-found',
    code: `${what}-unknown`,
    message: `There is no ${what} ${JSON.stringify(reference)} (${known})`,
    remedy:
      what === 'guest'
        ? 'See "sojourn guest list"'
        : 'See "sojourn places", or pair with it by "sojourn pair"',
  });
}

function ambiguous(
  what: 'guest' | 'place',
  reference: string,
  matching: readonly { readonly id: string; readonly name: string }[],
): SojournError {
  const list = matching.map(({ id, name }) => `${name} (${id.slice(0, 12)})`).join(', ');
  return new SojournError({
    kind: 'usage',
    code: `${what}-ambiguous`,
    message: `${JSON.stringify(reference)} stands for more than one ${what}: ${list}`,
    remedy: 'Give more of the id',
  });
}
