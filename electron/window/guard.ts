/** What no page of this app may do, whatever runs in it: leave, open windows, ask for devices, talk to the network. */
import { type App, type Session, session, type WebContents } from 'electron';
import { PAGE_ORIGIN } from './page-files.ts';

/** What a guest's screen needs: the whole screen, and copying out after a click. */
const GRANTED: ReadonlySet<string> = new Set(['fullscreen', 'clipboard-sanitized-write']);

/** @param refused told what was tried */
export function guardContents(app: App, refused: (what: string) => void): void {
  app.on('web-contents-created', (_event, contents) => guard(contents, refused));
}

function guard(contents: WebContents, refused: (what: string) => void): void {
  contents.on('will-navigate', (event) => {
    event.preventDefault();
    refused(`a navigation to ${event.url}`);
  });
  contents.on('will-frame-navigate', (event) => {
    if (event.isMainFrame) return;
    event.preventDefault();
    refused(`a frame with ${event.url}`);
  });
  contents.on('will-redirect', (event) => {
    event.preventDefault();
    refused(`a redirection to ${event.url}`);
  });
  contents.on('will-attach-webview', (event) => {
    event.preventDefault();
    refused('a web view');
  });
  // What the content security policy does not know.
  contents.setWebRTCIPHandlingPolicy('disable_non_proxied_udp');
  contents.setWindowOpenHandler(({ url }) => {
    refused(`a window with ${url}`);
    return { action: 'deny' };
  });
}

export async function guardSession(
  target: Session,
  refused: (what: string) => void,
): Promise<void> {
  // Nothing listens there: whatever gets past the policy and the filter below ends nowhere, loopback included.
  await target.setProxy({ proxyRules: 'socks5://127.0.0.1:1', proxyBypassRules: '<-loopback>' });
  target.setPermissionRequestHandler((contents, permission, decide) => {
    const granted = GRANTED.has(permission) && isOurs(contents?.getURL());
    if (!granted) refused(`the permission ${permission}`);
    decide(granted);
  });
  target.setPermissionCheckHandler((_contents, permission, origin) => {
    return GRANTED.has(permission) && isOurs(origin);
  });
  target.setDevicePermissionHandler(() => false);
  target.on('will-download', (event) => event.preventDefault());
  // Beside the content security policy, which a fault in the page's engine might get around.
  target.webRequest.onBeforeRequest(({ url }, decide) => {
    const cancel = !isOurs(url) && !/^(blob:app:\/\/sojourn\/|data:|devtools:)/.test(url);
    if (cancel) refused(`a request of ${url}`);
    decide({ cancel });
  });
}

/** The one session. Only what the page keeps for itself (language, colours) is on the disk. */
export function pageSession(): Session {
  return session.fromPartition('persist:sojourn', { cache: false });
}

function isOurs(url: string | undefined): boolean {
  return url !== undefined && (url === PAGE_ORIGIN || url.startsWith(`${PAGE_ORIGIN}/`));
}
