/** A window with our page in it, and nothing that the page could use to get out. */
import { BrowserWindow, nativeTheme } from 'electron';
import { hrefOf, type Route } from '../../src/ui/index.ts';
import { pageSession } from './guard.ts';
import { PAGE_ORIGIN } from './page-files.ts';

export interface PageWindowOptions {
  readonly preload: string;
  readonly icon: string;
}

/** What the page shows before its styles are there. */
const BACKGROUND = { light: '#ffffff', dark: '#16181d' };

export function pageWindow(
  { preload, icon }: PageWindowOptions,
  size: { readonly width: number; readonly height: number },
): BrowserWindow {
  const dark = nativeTheme.shouldUseDarkColors;
  const window = new BrowserWindow({
    ...size,
    minWidth: 320,
    minHeight: 400,
    title: 'Sojourn',
    icon,
    show: false,
    autoHideMenuBar: true,
    backgroundColor: dark ? BACKGROUND.dark : BACKGROUND.light,
    webPreferences: {
      preload,
      session: pageSession(),
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      webviewTag: false,
      navigateOnDragDrop: false,
      spellcheck: false,
    },
  });
  // The page's own title may carry others' names.
  window.on('page-title-updated', (event) => event.preventDefault());
  return window;
}

export async function goTo(window: BrowserWindow, route: Route): Promise<void> {
  const address = `${PAGE_ORIGIN}/${hrefOf(route)}`;
  if (window.webContents.getURL() === address) return;
  try {
    await window.loadURL(address);
  } catch (error) {
    // The person has gone on to somewhere else meanwhile.
    if ((error as { code?: string }).code !== 'ERR_ABORTED') throw error;
  }
}
