import './no-code-from-text.ts';

import { render } from 'preact';
import type { WireError } from '../api/schema.ts';
import { BrowserTransport, enter } from './browser-transport.ts';
import { failureOf } from './model/failure.ts';
import { App } from './state/app.ts';
import { AppContext } from './state/context.ts';
import type { DesktopBridge } from './transport.ts';
import { Frame } from './views/frame.tsx';
import './styles/index.css';

declare global {
  interface Window {
    /** In the desktop app only. */
    readonly sojourn?: DesktopBridge;
  }
}

const bridge = window.sojourn;
const app = new App(
  bridge ?? new BrowserTransport(),
  bridge === undefined ? undefined : (bridge.shell ?? {}),
);
const root = document.getElementById('root');
if (root === null) throw new Error('the page has no root');
const show = () =>
  render(
    <AppContext.Provider value={app}>
      <Frame />
    </AppContext.Provider>,
    root,
  );
const refused: readonly WireError['code'][] = ['session-over', 'link-used'];

const begin = async () => {
  if (bridge === undefined) {
    try {
      await enter();
    } catch (thrown) {
      const error = failureOf(thrown);
      app.connection.value = { kind: 'down', error };
      // Only a new link helps then.
      if (refused.includes(error.code)) return;
    }
  }
  app.follow();
};
show();
void begin();
