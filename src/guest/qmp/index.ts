export {
  type QmpArguments,
  QmpClient,
  type QmpConnectOptions,
  type QmpLogEntry,
} from './client.ts';
export { QmpClosedError, QmpError, QmpProtocolError, QmpTimeoutError } from './errors.ts';
export { type LineHandlers, LineStream } from './lines.ts';
export type { QmpEvent } from './messages.ts';
export type { QmpCallOptions, QmpWaitOptions } from './waiting.ts';
