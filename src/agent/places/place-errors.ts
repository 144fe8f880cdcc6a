/** What keeps two places apart, in words that name them. */
import { asClause, SojournError } from '../../common/index.ts';
import { shortId } from '../../transport/index.ts';

/** What other parts know only as "the other place" has a name here. */
export function namingOther(message: string, name: string): string {
  return message.replace(/\bthe other place\b/gi, name);
}

/** Whoever answers in the place of a site that is not trusted yet cannot be told apart from an old invite. */
export function notPairing(error: SojournError, name: string): SojournError {
  if (error.code !== 'peer-not-pinned') return namingPlace(error, name);
  const { kind, code, message } = error;
  return new SojournError({
    kind,
    code,
    message: `What answers there is not the ${name} that made the invite: ${asClause(message)}`,
    remedy: `Run "sojourn invite" at ${name} for a new one, and check the address in it`,
    cause: error,
  });
}

export function namingPlace(error: SojournError, name: string): SojournError {
  const { kind, code, message, cause } = error;
  const named = namingOther(message, name);
  if (code === 'peer-not-pinned')
    return new SojournError({
      kind,
      code,
      message: `Something else answers in the place of ${name}: ${asClause(named)}`,
      remedy: `Do not go on unless ${name} was set up anew; if it was, run "sojourn places forget ${name}" and pair with it again`,
      cause,
    });
  const remedy =
    kind === 'unreachable'
      ? `Check the network here, and that the agent on ${name} is running`
      : error.remedy;
  return new SojournError({ kind, code, message: named, remedy, cause });
}

/** Told to a place that is forgotten. */
export function pairedNoMore(self: { name: string; id: string }): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'not-paired',
    message: `${self.name} (${shortId(self.id)}) is paired with this place no longer`,
    remedy: 'Pair the two again, if both sides want to',
  });
}

export function notPaired(name: string): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'not-paired',
    message: `This place is not paired with ${name}`,
    remedy: 'Run "sojourn invite" at the site and "sojourn pair" here',
  });
}
