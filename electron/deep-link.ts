/** `sojourn://pair/INVITE`: a link in a mail or on a web page that opens the pairing view with an invite filled in. */
import type { Route } from '../src/ui/index.ts';

export const LINK_SCHEME = 'sojourn';

/** Longer than any invite that the agent takes. */
const MAX_LINK = 8300;
/** An invite is base64url behind its version (`src/transport/invite.ts`). */
const PAIR = /^sojourn:\/\/pair\/(sojourn1\.[A-Za-z0-9_-]{1,8000})\/?$/;

/** Undefined for anything but a whole, well-formed link: whoever makes a link is not to be trusted. */
export function parseDeepLink(text: string): Route | undefined {
  if (text.length > MAX_LINK) return undefined;
  const invite = PAIR.exec(text)?.[1];
  return invite === undefined ? undefined : { view: 'pair', invite };
}

/** The link among a program's arguments, which are what a desktop passes it in. */
export function deepLinkIn(argv: readonly string[]): Route | undefined {
  for (const argument of argv) {
    if (!argument.startsWith(`${LINK_SCHEME}:`)) continue;
    return parseDeepLink(argument);
  }
  return undefined;
}
