/** Which view is shown: the part of the page's address behind the number sign. */

export const views = [
  'dashboard',
  'handoffs',
  'places',
  'link',
  'rules',
  'problems',
  'settings',
  'setup',
] as const;
export type ViewName = (typeof views)[number];

export type Route =
  | { readonly view: ViewName }
  /** By id or name. */
  | { readonly view: 'guest'; readonly guest: string }
  /** Pairing with what a link of somebody else's says: the person still has to agree. */
  | { readonly view: 'pair'; readonly invite: string };

export function routeOf(hash: string): Route {
  const [name = '', ...rest] = hash.replace(/^#\/?/, '').split('/');
  if (name === 'guest' && rest[0]) return { view: 'guest', guest: decoded(rest[0]) };
  if (name === 'places' && rest[0] === 'pair' && rest[1])
    return { view: 'pair', invite: decoded(rest[1]) };
  return { view: views.find((view) => view === name) ?? 'dashboard' };
}

export function hrefOf(route: Route): string {
  switch (route.view) {
    case 'guest':
      return `#/guest/${encodeURIComponent(route.guest)}`;
    case 'pair':
      return `#/places/pair/${encodeURIComponent(route.invite)}`;
    case 'dashboard':
      return '#/';
    default:
      return `#/${route.view}`;
  }
}

/** What is not well encoded is taken as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
