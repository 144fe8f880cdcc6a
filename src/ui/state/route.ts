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
  /** Pairing with a device in the same network. */
  | { readonly view: 'nearby' }
  /** By id or name. */
  | { readonly view: 'guest'; readonly guest: string }
  /** The screens of guests, by id, beside each other. */
  | { readonly view: 'screen'; readonly guests: readonly string[] }
  /** Pairing with what a link of somebody else's says: the person still has to agree. */
  | { readonly view: 'pair'; readonly invite: string };

/** Screens that one view shows beside each other. */
export const MAX_SCREENS = 4;

export function routeOf(hash: string): Route {
  const [name = '', ...rest] = hash.replace(/^#\/?/, '').split('/');
  if (name === 'guest' && rest[0]) return { view: 'guest', guest: decoded(rest[0]) };
  if (name === 'screen' && rest[0])
    return { view: 'screen', guests: rest.filter(Boolean).slice(0, MAX_SCREENS).map(decoded) };
  if (name === 'places' && rest[0] === 'nearby') return { view: 'nearby' };
  if (name === 'places' && rest[0] === 'pair' && rest[1])
    return { view: 'pair', invite: decoded(rest[1]) };
  return { view: views.find((view) => view === name) ?? 'dashboard' };
}

export function hrefOf(route: Route): string {
  switch (route.view) {
    case 'guest':
      return `#/guest/${encodeURIComponent(route.guest)}`;
    case 'screen':
      return `#/screen/${route.guests.map(encodeURIComponent).join('/')}`;
    case 'pair':
      return `#/places/pair/${encodeURIComponent(route.invite)}`;
    case 'nearby':
      return '#/places/nearby';
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
