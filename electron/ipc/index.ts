/** What crosses between the page and the main process. */
export { Bridge, type BridgeOptions } from './bridge.ts';
export type { ShellMessage } from './schema.ts';
