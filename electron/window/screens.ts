/** The screens of guests, each in a window of its own. */
import type { BrowserWindow } from 'electron';
import { goTo, type PageWindowOptions, pageWindow } from './page-window.ts';

const SIZE = { width: 1100, height: 820 };

export class ScreenWindows {
  readonly #options: PageWindowOptions;
  readonly #windows = new Map<string, BrowserWindow>();

  constructor(options: PageWindowOptions) {
    this.#options = options;
  }

  /** `inFront`: a person asked for it; else it does not take the keyboard from what they do. */
  open(guest: string, { inFront }: { readonly inFront: boolean }): void {
    const window = this.#windows.get(guest) ?? this.#create(guest);
    if (window.isMinimized()) window.restore();
    if (!inFront) {
      window.showInactive();
      return;
    }
    window.show();
    window.focus();
  }

  #create(guest: string): BrowserWindow {
    const window = pageWindow(this.#options, SIZE);
    this.#windows.set(guest, window);
    window.once('closed', () => this.#windows.delete(guest));
    void goTo(window, { view: 'screen', guests: [guest] });
    return window;
  }
}
