import { connect, type Socket } from 'node:net';
import { SojournError } from '../../common/index.ts';
import { type CommonOptions, Output } from '../output.ts';
import { withAgent } from '../with-agent.ts';

const ESCAPE = 0x1d; // Ctrl-]

/**
 * A bridge between this terminal and the guest's serial console. On a terminal the keys go through
 * raw, Ctrl-C included; Ctrl-] leaves. When standard input is no terminal and ends, output goes on
 * until the guest or the reader ends it.
 */
export async function attach(guest: string, options: CommonOptions): Promise<void> {
  const place = await withAgent(options, (client) => client.call('guest.console', { guest }));
  const output = new Output(options);
  if (output.json) {
    output.result(place, '');
    return;
  }
  const interactive = process.stdin.isTTY === true;
  const socket = connect(place.socketPath);
  socket.once('connect', () => {
    output.remark(`connected to ${place.guest}${interactive ? '; Ctrl-] leaves' : ''}`);
  });
  const byGuest = await bridge(socket, interactive);
  output.remark(
    byGuest
      ? `\nthe console of ${place.guest} ended`
      : `\n${place.guest} goes on without this console`,
  );
}

/** Resolves when it ends; true when the guest's side ended it. */
function bridge(socket: Socket, interactive: boolean): Promise<boolean> {
  const { stdin, stdout } = process;
  return new Promise<boolean>((resolve, reject) => {
    stdin.on('data', (data) => {
      const bytes = typeof data === 'string' ? Buffer.from(data) : data;
      const leave = interactive ? bytes.indexOf(ESCAPE) : -1;
      if (leave === -1) {
        if (!socket.write(bytes)) stdin.pause();
        return;
      }
      socket.end(bytes.subarray(0, leave));
      resolve(false);
    });
    socket.on('drain', () => stdin.resume());
    socket.on('data', (bytes) => {
      if (!stdout.write(bytes)) socket.pause();
    });
    stdout.on('drain', () => socket.resume());
    socket.once('close', () => resolve(true));
    socket.once('error', (cause) => reject(consoleGone(cause)));
    process.once('SIGINT', () => resolve(false));
    process.once('SIGTERM', () => resolve(false));
    if (interactive) stdin.setRawMode(true);
  }).finally(() => {
    if (interactive) stdin.setRawMode(false);
    stdin.destroy();
    socket.destroy();
  });
}

function consoleGone(cause: Error): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'console-gone',
    message: `The console cannot be reached: ${cause.message}`,
    remedy: 'See whether the guest still runs with "sojourn guest list"',
    cause,
  });
}
