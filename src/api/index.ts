/** The agent's interface: contract, typed client, typed server. */
export { ApiClient, type CallOptions } from './client.ts';
export type { Limits, ServerLog } from './connection.ts';
export {
  type CallContext,
  type CallInput,
  type CallItem,
  type CallName,
  type CallOutput,
  type Contract,
  contract,
  type Handlers,
  type StreamName,
} from './contract.ts';
export { LineSplitter } from './line-splitter.ts';
export { MAX_CALLS, MAX_LINE_BYTES, PROTOCOL_VERSION } from './protocol.ts';
export { resolveReference } from './resolve-reference.ts';
export { ApiServer, type ApiServerOptions } from './server.ts';
export { apiSocketPath, stateDirectory } from './socket-path.ts';
export { programVersion } from './version.ts';
export type {
  AgentInfo,
  AuditEntry,
  CheckView,
  DatapathView,
  DecisionView,
  GuestState,
  GuestView,
  HandoffPhase,
  HandoffProgress,
  HandoffResult,
  ImageView,
  LinkView,
  Notice,
  PlaceRef,
  PlaceView,
  PolicyView,
  RecoverAction,
  StandbyView,
  Status,
} from './views.ts';
