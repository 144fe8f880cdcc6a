/** The app's one window: made when it is wanted, kept while it is hidden. */
import type { BrowserWindow } from 'electron';
import type { Route } from '../../src/ui/index.ts';
import { goTo, type PageWindowOptions, pageWindow } from './page-window.ts';

export interface MainWindowOptions extends PageWindowOptions {
  /** Whether closing it only hides it. */
  readonly staysAfterClose: () => boolean;
  /** It was shown, hidden, or got or lost the focus. */
  readonly changed: () => void;
}

const MAIN_SIZE = { width: 1040, height: 720 };

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
    void goTo(window, route);
    if (window.isMinimized()) window.restore();
    window.show();
    window.focus();
  }

  /** From now on closing is closing. */
  letGo(): void {
    this.#quitting = true;
  }

  #create(): BrowserWindow {
    const window = pageWindow(this.#options, MAIN_SIZE);
    window.on('close', (event) => {
      if (this.#quitting || !this.#options.staysAfterClose()) return;
      event.preventDefault();
      window.hide();
    });
    window.on('closed', () => {
      this.#window = undefined;
      this.#options.changed();
    });
    for (const event of ['show', 'hide', 'focus', 'blur', 'minimize', 'restore'] as const)
      window.on(event as 'show', this.#options.changed);
    return window;
  }
}
