/**
 * TLS as every connection between two places uses it: 1.3 only, a certificate from both sides, and a
 * peer that is whoever its key says it is.
 *
 * No authority signs the certificates, so Node's own check (`rejectUnauthorized`) has nothing to check
 * and is off. What stands in its place: TLS makes each side prove that it has the private key of the
 * certificate it shows (RFC 8446, 4.4.3; that check cannot be switched off), and the caller compares
 * the SHA-256 of the public key with the one it pinned: `requirePeer` for the dialing side,
 * `peerIdOf` and the list of paired places for the listening one. No byte of a connection may be
 * used before that comparison.
 */
import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls';
import { SojournError } from '../common/index.ts';
import { type Identity, placeIdOf } from './identity.ts';

/** Application protocols (RFC 7301); a connection for another one ends in the handshake. */
export const ALPN_SESSION = 'sojourn-session';
export const ALPN_TUNNEL = 'sojourn-tunnel';
/** Between devices that pair (`nearby/`). */
export const ALPN_NEARBY = 'sojourn-nearby';
export type Alpn = typeof ALPN_SESSION | typeof ALPN_TUNNEL | typeof ALPN_NEARBY;

/** A peer that has not finished the TLS handshake after this time is cut off. */
export const HANDSHAKE_TIMEOUT_MS = 8_000;

function common(identity: Identity, alpn: Alpn) {
  return {
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // AES-128 first: on the hardware we run on it is the fastest, and no weaker for this purpose.
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384',
    sigalgs: 'ed25519',
    ALPNProtocols: [alpn],
    rejectUnauthorized: false,
  } as const satisfies ConnectionOptions;
}

/** Options for `tls.createServer`. Handle its `tlsClientError`; call `peerIdOf` on each connection. */
export function tlsServerOptions(identity: Identity, alpn: Alpn): TlsOptions {
  return {
    ...common(identity, alpn),
    ALPNProtocols: [alpn],
    requestCert: true,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  };
}

/**
 * Options for `tls.connect`, to be merged with host and port. On `secureConnect` call `requirePeer`
 * before anything else.
 */
export function tlsClientOptions(identity: Identity, alpn: Alpn): ConnectionOptions {
  return {
    ...common(identity, alpn),
    ALPNProtocols: [alpn],
    // Names are not part of an identity, and the name of a place is nobody's business on the way.
    servername: '',
    checkServerIdentity: () => undefined,
  };
}

/** Node 24 gives the certificate of a server once and `undefined` when it is asked for again. */
const known = new WeakMap<TLSSocket, string>();

/** Place id of the peer of a secured connection. Error: `peer-certificate-missing`. */
export function peerIdOf(socket: TLSSocket): string {
  const before = known.get(socket);
  if (before !== undefined) return before;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined || certificate.publicKey.asymmetricKeyType !== 'ed25519') {
    throw new SojournError({
      kind: 'refused',
      code: 'peer-certificate-missing',
      message: `${addressOf(socket)} did not show the certificate of a place`,
      remedy: 'Check that the address and port are those of a Sojourn agent',
    });
  }
  const id = placeIdOf(certificate);
  known.set(socket, id);
  return id;
}

/** Throws `peer-not-pinned` unless the peer of a secured connection is `expected`. */
export function requirePeer(socket: TLSSocket, expected: string): void {
  const actual = peerIdOf(socket);
  if (actual === expected) return;
  throw new SojournError({
    kind: 'refused',
    code: 'peer-not-pinned',
    message: `${addressOf(socket)} has the identity ${shortId(actual)}, not the pinned ${shortId(expected)}`,
    remedy:
      'If the place was set up anew, pair with it again; otherwise something else answers at its address',
  });
}

/** The first 16 hex digits of a place id: enough for people to tell places apart. */
export function shortId(id: string): string {
  return id.slice(0, 16);
}

function addressOf(socket: TLSSocket): string {
  return socket.remoteAddress === undefined
    ? 'The other side'
    : `${socket.remoteAddress} port ${socket.remotePort}`;
}
