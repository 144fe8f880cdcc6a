/** The tray: a pure description of it, and the icon that shows one. */
export { describeTray, type TrayInput } from './describe.ts';
export { type ShownEstimate, steadyEstimate } from './figures.ts';
export { nameLabel, sentenceLabel } from './label.ts';
export { nativeItems } from './native.ts';
export { type Panel, watchPanel } from './panel.ts';
export { TrayIcon } from './tray.ts';
export type { Action, IconName, Item, ReceiveMode, Setting, TrayDescription } from './types.ts';
