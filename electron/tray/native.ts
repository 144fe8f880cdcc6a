/** Electron's menus from described ones. */
import type { MenuItemConstructorOptions } from 'electron';
import { withoutMnemonic } from './label.ts';
import type { Action, Item } from './types.ts';

export function nativeItems(
  items: readonly Item[],
  perform: (action: Action) => void,
): MenuItemConstructorOptions[] {
  return items.map((item) => nativeItem(item, perform));
}

function nativeItem(item: Item, perform: (action: Action) => void): MenuItemConstructorOptions {
  switch (item.kind) {
    case 'separator':
      return { type: 'separator' };
    case 'text':
      return { label: withoutMnemonic(item.label), enabled: false };
    case 'action':
      return { label: withoutMnemonic(item.label), click: () => perform(item.action) };
    case 'choice':
      return {
        label: withoutMnemonic(item.label),
        type: item.exclusive ? 'radio' : 'checkbox',
        checked: item.chosen,
        click: () => perform(item.action),
      };
    case 'submenu':
      return { label: withoutMnemonic(item.label), submenu: nativeItems(item.items, perform) };
  }
}
