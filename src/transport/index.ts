export { ADMISSION, Admission, keyOf } from './admission.ts';
export { Channel } from './channel.ts';
export { DIAL_TIMEOUT_MS, type DialTarget, dialPlace } from './dial.ts';
export { type DialerOptions, type DialerStatus, PeerDialer } from './dialer.ts';
export { type PlaceInfo, placeInfo } from './hello.ts';
export { IDENTITY_FILE, type Identity, loadIdentity, loadOrCreateIdentity } from './identity.ts';
export {
  createInvite,
  type Invite,
  type InviteStore,
  type PairedPlace,
  type PendingInvite,
  parseInvite,
} from './invite.ts';
export { type ListenerOptions, PeerListener } from './listener.ts';
export {
  COMPARE_MS,
  type ComparisonState,
  Encounter,
  type FailureReason,
  type Listens,
  listening,
  NearbyListener,
  type Role,
  Tries,
  turnAway,
} from './nearby/index.ts';
export { type PairedSite, pairWithSite } from './pair.ts';
export type {
  CallContext,
  CallHandler,
  CallOptions,
  NotificationHandler,
} from './rpc.ts';
export { Session, type SessionState, type SessionTimings } from './session.ts';
export {
  ALPN_NEARBY,
  ALPN_SESSION,
  ALPN_TUNNEL,
  type Alpn,
  HANDSHAKE_TIMEOUT_MS,
  peerIdOf,
  requirePeer,
  shortId,
  tlsClientOptions,
  tlsServerOptions,
} from './tls.ts';
export { type CallingSession, type CallTable, type TypedCalls, typedCalls } from './typed-calls.ts';
