/** The app's one window: made when it is wanted, kept while it is hidden. */
import { BrowserWindow, nativeTheme } from 'electron';
import { hrefOf, type Route } from '../../src/ui/index.ts';
import { pageSession } from './guard.ts';
import { PAGE_ORIGIN } from './page-files.ts';

export interface MainWindowOptions {
  readonly preload: string;
  readonly icon: string;
  /** Whether closing it only hides it. */
  readonly staysAfterClose: () => boolean;
  /** It was shown, hidden, or got or lost the focus. */
  readonly changed: () => void;
}

/** What the page shows before its styles are there. */
const BACKGROUND = { light: '#ffffff', dark: '#16181d' };

export class MainWindow {
  readonly #options: MainWindowOptions;
  #window: BrowserWindow | undefined;
  #quitting = false;

  constructor(options: MainWindowOptions) {
    this.#options = options;
  }

  /** Whether a person can see what it shows. */
  get isWatched(): boolean {
    const window = this.#window;
    return window?.isVisible() === true && !window.isMinimized() && window.isFocused();
  }

  get isOpen(): boolean {
    return this.#window?.isVisible() === true;
  }

  open(route: Route): void {
    const window = this.#window ?? this.#create();
    this.#window = window;
    void this.#go(window, route);
    if (window.isMinimized()) window.restore();
    window.show();
    window.focus();
  }

  /** From now on closing is closing. */
  letGo(): void {
    this.#quitting = true;
  }

  #create(): BrowserWindow {
    const dark = nativeTheme.shouldUseDarkColors;
    const window = new BrowserWindow({
      width: 1040,
      height: 720,
      minWidth: 320,
      minHeight: 400,
      title: 'Sojourn',
      icon: this.#options.icon,
      show: false,
      autoHideMenuBar: true,
      backgroundColor: dark ? BACKGROUND.dark : BACKGROUND.light,
      webPreferences: {
        preload: this.#options.preload,
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
    window.on('close', (event) => {
      if (this.#quitting || !this.#options.staysAfterClose()) return;
      event.preventDefault();
      window.hide();
    });
    window.on('closed', () => {
      this.#window = undefined;
      this.#options.changed();
    });
    // The page's own title may carry others' names.
    window.on('page-title-updated', (event) => event.preventDefault());
    for (const event of ['show', 'hide', 'focus', 'blur', 'minimize', 'restore'] as const)
      window.on(event as 'show', this.#options.changed);
    return window;
  }

  async #go(window: BrowserWindow, route: Route): Promise<void> {
    const address = `${PAGE_ORIGIN}/${hrefOf(route)}`;
    if (window.webContents.getURL() === address) return;
    try {
      await window.loadURL(address);
    } catch (error) {
      // The person has gone on to somewhere else meanwhile.
      if ((error as { code?: string }).code !== 'ERR_ABORTED') throw error;
    }
  }
}
