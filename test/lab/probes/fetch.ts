/**
 * `node fetch.ts ADDRESS PORT FILE DEADLINE-MS`: reads a TCP service to its end into FILE, trying again until it
 * is there. Exit 1 when it was not before the deadline.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** One try; a lost SYN would otherwise be sent again only after 1, 3, 7 seconds. */
const TRY_MS = 1000;
const PAUSE_MS = 100;
/** The demo guest writes 128 bytes a second. */
const MAX_BYTES = 64 * 1024 * 1024;

const [address = '', port = '', file = '', deadlineMs = ''] = process.argv.slice(2);

async function fetchOnce(): Promise<Buffer> {
  const socket = connect({ host: address, port: Number(port) });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(TRY_MS) });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of socket) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_BYTES) throw new Error('the service sends without end');
    }
    return Buffer.concat(chunks);
  } finally {
    socket.destroy();
  }
}

const deadline = performance.now() + Number(deadlineMs);
for (;;) {
  try {
    writeFileSync(file, await fetchOnce());
    process.exit(0);
  } catch (error) {
    if (performance.now() > deadline) {
      process.stderr.write(`${address} port ${port}: ${(error as Error).message}\n`);
      process.exit(1);
    }
    await sleep(PAUSE_MS);
  }
}
