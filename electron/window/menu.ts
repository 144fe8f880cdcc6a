/** The menu of the window: the tray's, for where no tray is shown. */
import { Menu, type MenuItemConstructorOptions } from 'electron';

/** macOS has one menu bar for the whole app, in which editing by keys is looked up. */
const MAC: MenuItemConstructorOptions[] = [
  { role: 'appMenu' },
  { role: 'editMenu' },
  { role: 'windowMenu' },
];

export function showWindowMenu(items: MenuItemConstructorOptions[]): void {
  const own: MenuItemConstructorOptions = { label: 'Sojourn', submenu: items };
  Menu.setApplicationMenu(
    Menu.buildFromTemplate(process.platform === 'darwin' ? [...MAC, own] : [own]),
  );
}
