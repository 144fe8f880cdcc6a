export {
  type QmpArguments,
  type QmpCallOptions,
  QmpClient,
  QmpClosedError,
  type QmpConnectOptions,
  QmpError,
  type QmpEvent,
  type QmpLogEntry,
  QmpProtocolError,
  QmpTimeoutError,
  type QmpWaitOptions,
} from './qmp/index.ts';
