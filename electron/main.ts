/** The entry of the main process: what has to be decided before the app is ready. */
import { app, dialog } from 'electron';
import { errorText } from '../src/common/index.ts';
import type { Route } from '../src/ui/index.ts';
import { deepLinkIn, LINK_SCHEME, parseDeepLink } from './deep-link.ts';
import { Desktop } from './desktop.ts';
import { HIDDEN } from './login-item.ts';
import { guardContents, registerPageScheme } from './window/index.ts';

const refused = (what: string) => console.warn(`refused: ${what}`);

// It would take back a person's `--no-sandbox`, without which root cannot start it at all.
if (!app.commandLine.hasSwitch('no-sandbox')) app.enableSandbox();
registerPageScheme();
guardContents(app, refused);

if (app.requestSingleInstanceLock()) void run();
else app.quit();

async function run(): Promise<void> {
  let desktop: Desktop | undefined;
  let wanted: Route | undefined = deepLinkIn(process.argv);
  const open = (route: Route) => {
    wanted = route;
    desktop?.open(route);
  };
  app.on('second-instance', (_event, argv) => open(deepLinkIn(argv) ?? { view: 'dashboard' }));
  // macOS passes links on as events, also before the app is ready.
  app.on('open-url', (event, url) => {
    event.preventDefault();
    const route = parseDeepLink(url);
    if (route === undefined) refused(`the link ${url}`);
    else open(route);
  });
  app.on('activate', () => open({ view: 'dashboard' }));
  // The tray stays; without one the window takes the app along (`desktop.ts`).
  app.on('window-all-closed', () => desktop?.windowsClosed());
  try {
    await app.whenReady();
    if (app.isPackaged) app.setAsDefaultProtocolClient(LINK_SCHEME);
    desktop = await Desktop.start({
      hidden: process.argv.includes(HIDDEN),
      route: wanted,
      refused,
    });
    const started = desktop;
    app.on('before-quit', () => started.close());
  } catch (error) {
    dialog.showErrorBox('Sojourn', errorText(error));
    app.exit(1);
  }
}
