import { useEffect, useRef } from 'preact/hooks';
import type { Status } from '../../api/schema.ts';
import type { Messages } from '../messages/index.ts';
import { sentences } from '../model/format.ts';
import { Failure, failureText, Loading } from '../parts/basics.tsx';
import { Icon } from '../parts/icon.tsx';
import { useApp, useMessages } from '../state/context.ts';
import { hrefOf, type Route, type ViewName } from '../state/route.ts';
import { Dashboard } from './dashboard.tsx';
import { Guest } from './guest.tsx';
import { Handoffs } from './handoffs.tsx';
import { Incoming } from './incoming.tsx';
import { Link } from './link.tsx';
import { Places } from './places.tsx';
import { Problems } from './problems.tsx';
import { Rules } from './rules.tsx';
import { Screens } from './screen.tsx';
import { Settings } from './settings.tsx';
import { Setup } from './setup.tsx';

const menu: readonly ViewName[] = [
  'dashboard',
  'handoffs',
  'places',
  'link',
  'rules',
  'problems',
  'settings',
];

/** Under which of them the other views are. */
const parents: Partial<Record<Route['view'], ViewName>> = {
  guest: 'dashboard',
  screen: 'dashboard',
  pair: 'places',
  nearby: 'places',
};

/** The frame around every view: where one is, where one can go, and whether the agent answers. */
export function Frame() {
  const app = useApp();
  const { nav, connection: texts, connection } = useMessages();
  const status = app.status.value;
  const { kind } = app.connection.value;
  const route = app.route.value;
  const main = useRef<HTMLElement>(null);
  const title = titleOf(route, status, nav);
  const shown = useRef(route);
  useEffect(() => {
    document.title = `${title} – Sojourn`;
    // Screen readers begin to read where the new view begins; not when the page has just been opened.
    if (shown.current !== route) main.current?.focus();
    shown.current = route;
  }, [title, route]);
  return (
    <>
      <button class="skip" type="button" onClick={() => main.current?.focus()}>
        {nav.skip}
      </button>
      <header class="bar">
        <p class="brand">
          <Icon name="away" /> Sojourn
        </p>
        {status !== null && (
          <p class="muted name place">{connection.here(status.agent.place.name)}</p>
        )}
        <nav aria-label={nav.label}>
          <ul>
            {menu.map((view) => (
              <li key={view}>
                <a
                  href={hrefOf({ view })}
                  aria-current={
                    route.view === view || parents[route.view] === view ? 'page' : undefined
                  }
                >
                  <Icon name={view} />
                  <span>{nav[view]}</span>
                  {view === 'problems' && app.pressingProblems.value > 0 && (
                    <span class="badge">
                      <span aria-hidden="true">{app.pressingProblems.value}</span>
                      <span class="visually-hidden">
                        {nav.problemCount(app.pressingProblems.value)}
                      </span>
                    </span>
                  )}
                </a>
              </li>
            ))}
          </ul>
        </nav>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {kind === 'down' && <LostConnection isStale={status !== null} />}
        {status === null ? (
          kind === 'connecting' && <Loading text={texts.connecting} />
        ) : (
          <>
            <Incoming status={status} />
            <View route={route} status={status} />
          </>
        )}
      </main>
      <p class="visually-hidden" aria-live="polite">
        {app.announcement.value}
      </p>
    </>
  );
}

function View({ route, status }: { readonly route: Route; readonly status: Status }) {
  switch (route.view) {
    case 'dashboard':
      return <Dashboard status={status} />;
    case 'guest':
      return <Guest reference={route.guest} status={status} />;
    case 'screen':
      return <Screens key={route.guests.join()} guests={route.guests} status={status} />;
    case 'handoffs':
      return <Handoffs />;
    case 'places':
      return <Places status={status} />;
    case 'nearby':
      return <Places key="nearby" status={status} nearby />;
    case 'pair':
      return <Places key={route.invite} status={status} invite={route.invite} />;
    case 'link':
      return <Link />;
    case 'rules':
      return <Rules status={status} />;
    case 'problems':
      return <Problems />;
    case 'settings':
      return <Settings status={status} />;
    case 'setup':
      return <Setup status={status} />;
  }
}

function LostConnection({ isStale }: { readonly isStale: boolean }) {
  const app = useApp();
  const messages = useMessages();
  const { connection: texts } = messages;
  const current = app.connection.value;
  if (current.kind !== 'down') return null;
  if (current.error.code === 'session-over' || current.error.code === 'link-used')
    return <Failure error={current.error} />;
  const { message, remedy, foreign } = failureText(current.error, messages);
  return (
    <div class="callout problem" role="alert">
      <Icon name="problem" />
      <div class="grow">
        <strong>{texts.lost}</strong>
        <p lang={foreign ? 'en' : undefined}>{sentences(message, remedy)}</p>
        <p class="muted">
          {texts.lostHelp} {isStale ? texts.stale : ''}
        </p>
      </div>
    </div>
  );
}

function titleOf(route: Route, status: Status | null, nav: Messages['nav']): string {
  if (route.view === 'pair' || route.view === 'nearby') return nav.places;
  if (route.view !== 'guest' && route.view !== 'screen') return nav[route.view];
  const guest = route.view === 'guest' ? route.guest : route.guests[0];
  return (
    status?.guests.find(({ id, name }) => id === guest || name === guest)?.name ?? nav.dashboard
  );
}
