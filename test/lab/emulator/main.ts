/**
 * The emulator as a process: `node main.ts OPTIONS-JSON`. It listens on two unix sockets for the ends of
 * the cable and on one for control, prints `ready` when all three listen, and ends on SIGTERM or when its
 * standard input closes, so that it never outlives the program that started it.
 */
import { createServer, type Socket } from 'node:net';
import { z } from 'zod';
import { serveControl } from './control.ts';
import { Link } from './link.ts';
import { directionParameters } from './parameters.ts';

export const emulatorOptions = z.object({
  /** Paths of the unix sockets to listen on. */
  a: z.string(),
  b: z.string(),
  control: z.string(),
  seed: z.int(),
  aToB: directionParameters,
  bToA: directionParameters,
});
export type EmulatorOptions = z.infer<typeof emulatorOptions>;

function listen(path: string, onConnection: (socket: Socket) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    createServer(onConnection).once('error', reject).listen(path, resolve);
  });
}

async function main(): Promise<void> {
  const options = emulatorOptions.parse(JSON.parse(process.argv[2] ?? ''));
  const link = new Link(options);
  await listen(options.a, (socket) => link.attach('a', socket));
  await listen(options.b, (socket) => link.attach('b', socket));
  await listen(options.control, (socket) => serveControl(socket, link));
  process.stdin.resume().on('end', () => process.exit(0));
  process.on('SIGTERM', () => process.exit(0));
  process.stdout.write('ready\n');
}

if (import.meta.main) await main();
