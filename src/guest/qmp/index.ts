export {
  type QmpArguments,
  type QmpCallOptions,
  QmpClient,
  type QmpConnectOptions,
  type QmpEvent,
  type QmpLogEntry,
  type QmpWaitOptions,
} from './client.ts';
export { QmpClosedError, QmpError, QmpProtocolError, QmpTimeoutError } from './errors.ts';
export { type LineHandlers, LineStream } from './lines.ts';
