/** The icon in the panel. Shows what it is given, and touches the panel only when that has changed. */
import { Menu, nativeTheme, Tray } from 'electron';
import { iconStyle, trayImage } from './icons.ts';
import { nativeItems } from './native.ts';
import type { Action, TrayDescription } from './types.ts';

export interface TrayOptions {
  /** `resources/icons/tray` */
  readonly icons: string;
  readonly perform: (action: Action) => void;
  /** A click beside the menu, where a system has such a thing. */
  readonly clicked: () => void;
}

export class TrayIcon {
  readonly #options: TrayOptions;
  readonly #onTheme = () => this.#showIcon();
  #tray: Tray | undefined;
  #shown: TrayDescription;

  constructor(options: TrayOptions, first: TrayDescription) {
    this.#options = options;
    this.#shown = first;
    nativeTheme.on('updated', this.#onTheme);
    this.#create();
  }

  show(description: TrayDescription): void {
    const before = this.#shown;
    this.#shown = description;
    if (description.icon !== before.icon) this.#showIcon();
    if (description.tooltip !== before.tooltip) this.#tray?.setToolTip(description.tooltip);
    if (JSON.stringify(description.menu) !== JSON.stringify(before.menu)) this.#showMenu();
  }

  /** A panel that came late knows nothing of an icon that was made before. */
  again(): void {
    this.#tray?.destroy();
    this.#create();
  }

  destroy(): void {
    nativeTheme.off('updated', this.#onTheme);
    this.#tray?.destroy();
    this.#tray = undefined;
  }

  #create(): void {
    this.#tray = new Tray(this.#image());
    this.#tray.on('click', this.#options.clicked);
    this.#tray.setToolTip(this.#shown.tooltip);
    this.#showMenu();
  }

  #showIcon(): void {
    this.#tray?.setImage(this.#image());
  }

  // Also for the smallest change: on Linux items do not change by themselves.
  #showMenu(): void {
    const items = nativeItems(this.#shown.menu, (action) => {
      this.#options.perform(action);
      // A click has ticked or unticked what is not so yet.
      this.#showMenu();
    });
    this.#tray?.setContextMenu(Menu.buildFromTemplate(items));
  }

  #image() {
    const style = iconStyle(process.platform, nativeTheme.shouldUseDarkColors);
    return trayImage(this.#options.icons, this.#shown.icon, style);
  }
}
