/**
 * `node gateway-peer.ts serve PORT [ADDRESS ...]`: answers each datagram with the address that it came from; with addresses, from
 * the one that it was sent to.
 * `node gateway-peer.ts ask MS HOST:PORT ...`: a connected datagram to each at once; prints `HOST:PORT ANSWER` for each: what was
 * answered, `ECONNREFUSED` when an ICMP error has said so of this very socket, or `nothing`.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

const [command, first = '', ...targets] = process.argv.slice(2);

function ask(target: string): Promise<string> {
  const colon = target.lastIndexOf(':');
  const [host, port] = [target.slice(0, colon), Number(target.slice(colon + 1))];
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  return new Promise<string>((resolve) => {
    const timer = setTimeout(() => resolve('nothing'), Number(first));
    const done = (text: string) => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.on('message', (message) => done(`${message}`));
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    socket.connect(port, host, () => socket.send('hello'));
  }).finally(() => socket.close());
}

if (command === 'serve') {
  const own = targets.length === 0 ? ['::'] : targets;
  let left = own.length;
  for (const local of own) {
    const socket = createSocket(isIPv6(local) ? 'udp6' : 'udp4');
    socket.on('message', (_, { address, port }) =>
      socket.send(address.replace('::ffff:', ''), port, address),
    );
    socket.bind(Number(first), local, () => {
      left -= 1;
      if (left === 0) console.log('ready');
    });
  }
} else {
  const answers = await Promise.all(targets.map(ask));
  for (const [index, answer] of answers.entries()) console.log(`${targets[index]} ${answer}`);
}
