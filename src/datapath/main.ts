/**
 * The datapath process:  node src/datapath/main.ts --directory DIR [--qemu BINARY]
 *
 * It listens on DIR/datapath.sock, restores DIR/datapath.json and writes `ready` to file descriptor 3, if there is one.
 */
import { closeSync, fstatSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { errorText } from '../common/index.ts';
import { ControlServer } from './control-server.ts';
import { Datapath } from './datapath.ts';
import { controlSocketPath } from './process.ts';
import { StateFile } from './store.ts';

const READY_DESCRIPTOR = 3;

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
  reportReady();
}

/** Whoever started us may wait for a line on descriptor 3. */
function reportReady(): void {
  try {
    if (!fstatSync(READY_DESCRIPTOR).isFIFO() && !fstatSync(READY_DESCRIPTOR).isSocket()) return;
    writeSync(READY_DESCRIPTOR, 'ready\n');
    closeSync(READY_DESCRIPTOR);
  } catch {
    // Nobody waits, or not any longer.
  }
}

await main();
