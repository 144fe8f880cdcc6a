/** What a stranger may send to a port where TLS is spoken: `errors-noise.ts HOST PORT ALPN`. Ends when all was sent. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { loadOrCreateIdentity } from '../../src/transport/index.ts';

const [, , host = '127.0.0.1', portText = '', alpn = ''] = process.argv;
const port = Number(portText);
const FEW_MS = 100;
/** More than the listeners hold open for strangers. */
const IDLE_CONNECTIONS = 150;

async function settled(socket: Socket, milliseconds = FEW_MS): Promise<void> {
  socket.on('error', () => undefined);
  await Promise.race([once(socket, 'close').catch(() => undefined), sleep(milliseconds)]);
  socket.destroy();
}

async function plain(bytes: Buffer): Promise<void> {
  const socket = connect({ host, port });
  socket.write(bytes);
  await settled(socket);
}

async function secured(options: ConnectionOptions, bytes: Buffer): Promise<void> {
  const socket = connectTls({ host, port, rejectUnauthorized: false, ...options });
  socket.once('secureConnect', () => socket.write(bytes));
  await settled(socket, 3 * FEW_MS);
}

/** RFC 8446, 5.1 and 4: a handshake record with a ClientHello that promises more than there is. */
const truncatedHello = Buffer.from('16030100c8010000c40303', 'hex');
const frame = (type: number, length: number) => {
  const header = Buffer.alloc(16);
  header.writeUInt8(1, 0);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(length, 2);
  return header;
};
const directory = await mkdtemp(join(tmpdir(), 'noise-'));
const identity = await loadOrCreateIdentity(directory);
await rm(directory, { recursive: true });
const stranger: ConnectionOptions = {
  key: identity.privateKeyPem,
  cert: identity.certificatePem,
  ALPNProtocols: [alpn],
};

await plain(randomBytes(64 * 1024));
await plain(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
await plain(truncatedHello);
await plain(Buffer.alloc(0));
await secured({ ALPNProtocols: [alpn] }, Buffer.from('no certificate'));
await secured({ ...stranger, ALPNProtocols: ['h2'] }, Buffer.from('another protocol'));
await secured({ ...stranger, maxVersion: 'TLSv1.2' }, Buffer.from('an old version'));
await secured(stranger, randomBytes(256 * 1024));
await secured(stranger, frame(1, 0xffff));
await secured(stranger, Buffer.concat([frame(1, 4096), Buffer.from('{"intent":')]));
await secured(stranger, Buffer.concat([frame(1, 4), Buffer.from('null')]));
await secured(stranger, frame(17, 16_368));
await secured(stranger, Buffer.alloc(1024));
const idle = Array.from({ length: IDLE_CONNECTIONS }, () => connect({ host, port }));
await Promise.all(idle.map((socket) => settled(socket, 5 * FEW_MS)));
console.log('done');
