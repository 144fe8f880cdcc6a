/**
 * The datapath process:  node src/datapath/main.ts --directory DIR [--qemu BINARY]
 *
 * It listens on DIR/datapath.sock and restores DIR/datapath.json. Whoever starts it may give it a socket as file descriptor 3:
 * it writes `ready` to it, and ends unless it reads an answer: nobody could find a datapath that was not recorded.
 */
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { errorText } from '../common/index.ts';
import { ControlServer } from './control-server.ts';
import { Datapath } from './datapath.ts';
import { controlSocketPath } from './process.ts';
import { StateFile } from './store.ts';

const STARTER_DESCRIPTOR = 3;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      directory: { type: 'string' },
      qemu: { type: 'string', default: 'qemu-system-x86_64' },
    },
  });
  const { directory, qemu } = values;
  if (directory === undefined) throw new Error('--directory is missing');
  process.umask(0o077);
  const log = pino({ name: 'datapath' });
  const file = new StateFile(directory, (message) => log.warn(message));
  const saved = await file.load();
  let restored = saved === undefined;
  const datapath: Datapath = new Datapath({
    directory,
    qemu,
    emit: (event) => {
      log.info(event);
      server.emit(event);
    },
    // Half of a restored state must not replace the whole one.
    changed: () => {
      if (restored) file.save(() => datapath.saved);
    },
  });
  const stop = async (tap: 'keep' | 'remove') => {
    await datapath.close(tap);
    await file.settled();
    // Last, so that who waits for the end of the connection knows that all is done.
    await server.close();
    process.exit(0);
  };
  /** What has been answered survives a kill. */
  const kept = async <T>(call: Promise<T>): Promise<T> => {
    const result = await call;
    await file.settled();
    return result;
  };
  const server = new ControlServer(controlSocketPath(directory), {
    configure: (params) => kept(datapath.configure(params)),
    setGuest: (params) => kept(datapath.guests.set(params)),
    removeGuest: (params) => kept(datapath.guests.remove(params)),
    releasePort: (params) => datapath.guests.releasePort(params),
    beginSwitchover: (params) => datapath.guests.beginSwitchover(params),
    abortSwitchover: (params) => datapath.guests.abortSwitchover(params),
    commitSwitchover: (params) => datapath.guests.commitSwitchover(params),
    reclaim: (params) => datapath.guests.reclaim(params),
    status: () => datapath.status(),
    shutdown: async ({ tap }) => {
      // After the reply, which `close` of the server waits for.
      setImmediate(() => void stop(tap).catch(die));
      return {};
    },
  });
  const die = (error: unknown) => {
    log.fatal({ error: errorText(error), stack: error instanceof Error ? error.stack : undefined });
    process.exit(1);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  process.on('SIGTERM', () => void stop('keep').catch(die));
  // A terminal that goes away is no reason to stop packets.
  process.on('SIGHUP', () => log.info('SIGHUP ignored'));
  if (saved !== undefined) {
    await datapath.restore(saved);
    restored = true;
  }
  await server.listen();
  log.info({ directory, guests: saved?.guests.length ?? 0 }, 'ready');
  if (await isUnrecorded()) {
    log.warn('whoever started it ended before it was recorded');
    // As if killed: the next one may be starting here already.
    process.exit(1);
  }
}

/** Tells whoever started us, if anybody waits, that we are ready. Resolves when they have recorded us, or to true when they will not. */
async function isUnrecorded(): Promise<boolean> {
  if (!isSocket(STARTER_DESCRIPTOR)) return false;
  const starter = new Socket({ fd: STARTER_DESCRIPTOR });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  starter.on('error', () => resolve(true));
  starter.on('end', () => resolve(true));
  starter.on('data', () => resolve(false));
  starter.write('ready\n');
  return promise.finally(() => starter.destroy());
}

function isSocket(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isSocket();
  } catch {
    return false;
  }
}

await main();
