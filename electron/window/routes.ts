/** Where in the window something is; the page reads it from the address's fragment (`src/ui/state/route.ts`). */

export type Route =
  | { readonly view: 'dashboard' | 'settings' | 'problems' | 'setup' }
  | { readonly view: 'guest'; readonly guest: string }
  /** The person still has to agree there. */
  | { readonly view: 'pair'; readonly invite: string };

export function fragmentOf(route: Route): string {
  switch (route.view) {
    case 'dashboard':
      return '#/';
    case 'settings':
    case 'problems':
    case 'setup':
      return `#/${route.view}`;
    case 'guest':
      return `#/guest/${encodeURIComponent(route.guest)}`;
    case 'pair':
      return `#/places/pair/${encodeURIComponent(route.invite)}`;
  }
}
