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
  | { readonly view: 'guest'; readonly guestId: string };

export function routeOf(hash: string): Route {
  const [name = '', ...rest] = hash.replace(/^#\/?/, '').split('/');
  if (name === 'guest' && rest[0]) return { view: 'guest', guestId: rest[0] };
  return { view: views.find((view) => view === name) ?? 'dashboard' };
}

export function hrefOf(route: Route): string {
  if (route.view === 'guest') return `#/guest/${encodeURIComponent(route.guestId)}`;
  return route.view === 'dashboard' ? '#/' : `#/${route.view}`;
}
