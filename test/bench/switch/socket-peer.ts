/**
 * The other end of a stream port:   node socket-peer.ts send SOCKET FRAME_BYTES DESTINATIONS     as fast as it is taken
 *                                   node socket-peer.ts count SOCKET FRAME_BYTES SECONDS         prints frames a second
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { address, chunkOf } from './traffic.ts';

/** Until a hundred thousand flows have been met once. */
const WARM_UP_MS = 2_500;
const [role = '', path = '', frameBytes = '', last = ''] = process.argv.slice(2);
const bytes = Number(frameBytes);
const socket = connect(path);

if (role === 'send') {
  const template = chunkOf(bytes);
  let next = 0;
  const fill = () => {
    for (;;) {
      const chunk = Buffer.from(template);
      next = address(chunk, bytes, next, Number(last));
      if (!socket.write(chunk)) return;
    }
  };
  socket.on('drain', fill);
  fill();
} else {
  let received = 0;
  socket.on('data', (chunk) => {
    received += chunk.length;
  });
  await sleep(WARM_UP_MS);
  const [before, start] = [received, performance.now()];
  await sleep(Number(last) * 1000);
  const seconds = (performance.now() - start) / 1000;
  console.log((received - before) / (bytes + 4) / seconds);
  process.exit();
}
