export { retryMs, type TlsFiles } from './dialer.ts';
export {
  type EndpointEvent,
  type EndpointOptions,
  type FailMode,
  OpenFlowEndpoint,
} from './endpoint.ts';
export { Listener } from './listener.ts';
export {
  type ControllerTarget,
  formatTarget,
  type ListenTarget,
  OPENFLOW_PORT,
  parseController,
  parseListen,
} from './target.ts';
