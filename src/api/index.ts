/** The agent's interface: contract, typed client, typed server. */
export { ApiClient, type CallOptions } from './client.ts';
export { ofConnection } from './client-errors.ts';
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
  type ReceivingChange,
  type StreamName,
} from './contract.ts';
export { LineSplitter } from './line-splitter.ts';
export { MAX_CALLS, MAX_LINE_BYTES, PROTOCOL_VERSION } from './protocol.ts';
export { resolveReference } from './resolve-reference.ts';
export { MAX_CLIENT_MESSAGE, type RfbMessage, RfbMessages } from './rfb-client-messages.ts';
export {
  type ClipboardMessage,
  clipboardMessage,
  deflatedText,
  fitsClipboard,
  MAX_CLIPBOARD_TEXT,
  readClipboardMessage,
} from './rfb-clipboard.ts';
export { keyOf, pressed, releaseOf } from './rfb-keys.ts';
export {
  MAX_SCREEN_FRAME,
  MAX_TEXT_PIECE,
  type ScreenNote,
  screenNote,
} from './screen.ts';
export { noteFrame, pictureFrames, type ScreenFrame, ScreenFrames } from './screen-frames.ts';
export { ApiServer, type ApiServerOptions } from './server.ts';
export { apiSocketPath, screenSocketPath, stateDirectory } from './socket-path.ts';
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
  IncomingView,
  LinkView,
  MappingsView,
  NearbyView,
  Notice,
  PlaceRef,
  PlaceView,
  PolicyView,
  ReceiveMode,
  ReceivingView,
  RecoverAction,
  RightsView,
  StandbyView,
  Status,
} from './views/index.ts';
export { MAX_MAPPINGS } from './views/index.ts';
