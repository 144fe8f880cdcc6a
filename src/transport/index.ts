export { IDENTITY_FILE, type Identity, loadIdentity, loadOrCreateIdentity } from './identity.ts';
export {
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
