/**
 * Talks to the demo guest from the correspondent and says at once what it hears: `node witness-process.ts ADDRESS`.
 * Commands on standard input, one a line: `ask TEXT` (to the guest's control service), `fetch` (its disk records).
 * Lines on standard output, times in ms of CLOCK_MONOTONIC:
 *
 *   report MS BOOT COUNTER RECORDS   a report of the guest (resources/guest/services/control.c)
 *   traffic MS                       its other datagrams arrive; at most one line in 20 ms
 *   broken MS WHY                    the TCP connection, open since the start, is no more
 *   fetched BASE64 | unfetched WHY   the answer to `fetch`
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const LINES_PORT = 7000;
const RECORDS_PORT = 7002;
const CONTROL_PORT = 7003;
const ASK_AGAIN_MS = 250;
const TRAFFIC_EVERY_MS = 20;
/** One try to connect; a lost SYN would otherwise be sent again only after 1, 3, 7 seconds. */
const CONNECT_MS = 1000;
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

const address = process.argv[2] ?? '';
const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;
const say = (...words: (string | number)[]) => process.stdout.write(`${words.join(' ')}\n`);

const socket = createSocket('udp4');
let heard = false;
let trafficAt = 0;
socket.on('message', (message) => {
  const at = now();
  if (message[0] === 's'.charCodeAt(0)) {
    if (at - trafficAt < TRAFFIC_EVERY_MS) return;
    trafficAt = at;
    say('traffic', at);
    return;
  }
  const [word, boot = '', counter = '', records = ''] = message.toString('latin1').split(' ');
  if (word !== 'report') return;
  if (!heard) keepConnection();
  heard = true;
  say('report', at, boot, counter, records);
});
// ICMP errors while the guest is not there yet, or its network is being mended; silence shows in the reports.
socket.on('error', () => {});
await new Promise<void>((resolve) => socket.bind(0, resolve));
socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
const ask = (text: string) => socket.send(text, CONTROL_PORT, address, () => {});
const asking = setInterval(() => {
  if (heard) clearInterval(asking);
  else ask('report-to');
}, ASK_AGAIN_MS);

function keepConnection(): void {
  const lines = connect({ host: address, port: LINES_PORT, noDelay: true });
  let broken = false;
  const end = (why: string) => {
    if (!broken) say('broken', now(), why);
    broken = true;
  };
  lines.on('error', (error) => end(error.message));
  lines.on('close', () => end('closed'));
  lines.resume();
}

async function fetchRecords(): Promise<Buffer> {
  const service = connect({ host: address, port: RECORDS_PORT });
  try {
    await once(service, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) });
    const chunks: Buffer[] = [];
    for await (const chunk of service) chunks.push(chunk);
    return Buffer.concat(chunks);
  } finally {
    service.destroy();
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line.startsWith('ask ')) ask(line.slice(4));
    else if (line === 'fetch')
      fetchRecords().then(
        (records) => say('fetched', records.toString('base64')),
        (error: Error) => say('unfetched', error.message),
      );
  })
  .on('close', () => process.exit(0));
