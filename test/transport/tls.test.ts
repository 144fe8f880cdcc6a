import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ALPN_SESSION,
  ALPN_TUNNEL,
  type Identity,
  loadOrCreateIdentity,
  peerIdOf,
  requirePeer,
  tlsClientOptions,
  tlsServerOptions,
} from '../../src/transport/index.ts';

let directory: string;
let site: Identity;
let device: Identity;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sojourn-tls-'));
  site = await loadOrCreateIdentity(join(directory, 'site'));
  device = await loadOrCreateIdentity(join(directory, 'device'));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

/** Connects with `options`; both ends of the connection, or what the server said of the failure. */
async function handshake(options: ConnectionOptions): Promise<{
  client: TLSSocket;
  server: TLSSocket | Error;
}> {
  const listener = createServer(tlsServerOptions(site, ALPN_SESSION));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const accepted = new Promise<TLSSocket | Error>((resolve) => {
    listener.once('secureConnection', resolve);
    listener.once('tlsClientError', (error) => resolve(error));
  });
  const client = connect({
    ...options,
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
  });
  client.on('error', () => undefined);
  const server = await accepted;
  if (!(server instanceof Error) && client.getProtocol() === null)
    await once(client, 'secureConnect');
  listener.close();
  return { client, server };
}

describe('TLS between places', () => {
  it('is 1.3 and tells each side who the other is', async () => {
    const { client, server } = await handshake(tlsClientOptions(device, ALPN_SESSION));
    expect(peerIdOf(client)).toBe(site.id);
    expect(peerIdOf(server as TLSSocket)).toBe(device.id);
    expect(client.getProtocol()).toBe('TLSv1.3');
    expect(client.getCipher().name).toBe('TLS_AES_128_GCM_SHA256');
    expect(() => requirePeer(client, site.id)).not.toThrow();
    expect(() => requirePeer(client, device.id)).toThrowError(
      expect.objectContaining({ kind: 'refused', code: 'peer-not-pinned' }),
    );
    client.destroy();
  });

  it('has no identity for a peer without a certificate', async () => {
    const { client, server } = await handshake({
      rejectUnauthorized: false,
      ALPNProtocols: [ALPN_SESSION],
    });
    expect(() => peerIdOf(server as TLSSocket)).toThrowError(
      expect.objectContaining({ code: 'peer-certificate-missing' }),
    );
    client.destroy();
  });

  it.each([
    ['TLS 1.2', { maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' } as const],
    ['another application protocol', { ALPNProtocols: [ALPN_TUNNEL] }],
  ])('refuses %s', async (_name, options) => {
    const { client, server } = await handshake({
      ...tlsClientOptions(device, ALPN_SESSION),
      ciphers: undefined,
      ...options,
    });
    expect(server).toBeInstanceOf(Error);
    client.destroy();
  });

  it('refuses a certificate that is not of an Ed25519 key', async () => {
    const key = join(directory, 'rsa.key');
    const certificate = join(directory, 'rsa.crt');
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=x', '-days', '2'],
        ...['-keyout', key, '-out', certificate],
      ],
      { stdio: 'ignore' },
    );
    const { client, server } = await handshake({
      rejectUnauthorized: false,
      ALPNProtocols: [ALPN_SESSION],
      key: await readFile(key),
      cert: await readFile(certificate),
    });
    // Depending on who notices first there is no handshake, or no certificate.
    if (!(server instanceof Error)) {
      expect(() => peerIdOf(server)).toThrowError();
    }
    client.destroy();
  });
});
