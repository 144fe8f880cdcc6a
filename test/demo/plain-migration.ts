/**
 * The yardstick: a plain QEMU migration of a twin of the demo guest (the same command line and an overlay of
 * its own) from the device to the site over the same networks. As QEMU's documentation has it
 * (interop/live-block-operations): disk by a mirror to the destination's NBD server, memory by TCP, all
 * migration parameters as they are. Of the capabilities only `pause-before-switchover` and `events` are
 * on, because without the former QEMU cannot end a mirror and a migration at the same instant.
 * Its blackout is the time from STOP at the source to RESUME at the destination.
 */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { QmpClient } from '../../src/guest/index.ts';
import { ADDRESSES, type Lab, type Namespace } from '../lab/index.ts';
import type { Evidence } from './evidence.ts';
import { type Twin, twinOf } from './qemu-arguments.ts';

const execute = promisify(execFile);
const MIGRATION_PORT = 4444;
const NBD_PORT = 10809;
const CONNECT_DEADLINE_MS = 20_000;
const BOOT_DEADLINE_MS = 60_000;
const MIGRATION_DEADLINE_MS = 60_000;
/** What the guest's console says when its services run. */
const BOOTED = 'demo-services: up';

export interface BaselineOptions {
  readonly lab: Lab;
  readonly evidence: Evidence;
  /** Command line of the demo guest at the device. */
  readonly argv: readonly string[];
  readonly signal: AbortSignal;
}

export class PlainMigration {
  readonly #options: BaselineOptions;
  readonly #source: Twin;
  readonly #destination: Twin;
  #sourceQmp: QmpClient | undefined;
  #destinationQmp: QmpClient | undefined;

  constructor(options: BaselineOptions) {
    this.#options = options;
    const directory = (name: string) => join(options.lab.memory, name);
    const incoming = `tcp:0.0.0.0:${MIGRATION_PORT}`;
    this.#source = twinOf(options.argv, directory('plain-a'));
    this.#destination = twinOf(options.argv, directory('plain-b'), incoming);
  }

  /** Starts the twin at the device; resolves when its services run. */
  async boot(): Promise<void> {
    const { lab } = this.#options;
    this.#sourceQmp = await this.#start(this.#source, lab.device, 'source');
    const deadline = performance.now() + BOOT_DEADLINE_MS;
    while (!(await contains(this.#source.consoleLog, BOOTED))) {
      this.#options.signal.throwIfAborted();
      if (performance.now() > deadline) throw new Error('the twin of the guest did not boot');
      await sleep(100);
    }
  }

  /** Starts the waiting QEMU at the site. */
  async prepare(): Promise<void> {
    const { lab } = this.#options;
    this.#destinationQmp = await this.#start(this.#destination, lab.site, 'destination');
  }

  /** Migrates; notes `baseline-start` and `baseline-end`. */
  async migrate(): Promise<void> {
    const { evidence, signal } = this.#options;
    const [source, destination] = [this.#sourceQmp, this.#destinationQmp];
    if (source === undefined || destination === undefined) throw new Error('not prepared');
    const disk = this.#source.disks[0]?.name;
    if (disk === undefined) throw new Error('the guest has no disk');
    const wait = { timeoutMs: MIGRATION_DEADLINE_MS, signal };
    const inet = (port: number) => ({ type: 'inet', host: ADDRESSES.site4, port: `${port}` });

    evidence.event('baseline-start');
    await destination.execute('nbd-server-start', {
      addr: { type: 'inet', data: { host: '0.0.0.0', port: `${NBD_PORT}` } },
    });
    await destination.execute('block-export-add', {
      type: 'nbd',
      id: 'plain',
      'node-name': disk,
      name: disk,
      writable: true,
    });
    await source.execute('blockdev-add', {
      driver: 'nbd',
      'node-name': 'plain-target',
      export: disk,
      server: inet(NBD_PORT),
    });
    const mirrored = source.waitFor('BLOCK_JOB_READY', undefined, wait);
    await source.execute('blockdev-mirror', {
      'job-id': 'plain-mirror',
      device: disk,
      target: 'plain-target',
      sync: 'top',
    });
    await mirrored;
    const capabilities = ['events', 'pause-before-switchover'].map((capability) => ({
      capability,
      state: true,
    }));
    await source.execute('migrate-set-capabilities', { capabilities });
    const ended = source.waitFor('BLOCK_JOB_COMPLETED', undefined, wait);
    const status = (wanted: string) =>
      source.waitFor('MIGRATION', ({ data }) => data.status === wanted, wait);
    const failed = status('failed').then(() => {
      throw new Error('the plain migration failed');
    });
    // It ends unheard when the other outcome has come.
    failed.catch(() => {});
    const [paused, completed] = [status('pre-switchover'), status('completed')];
    const resumed = destination.waitFor('RESUME', undefined, wait);
    await source.execute('migrate', { uri: `tcp:${ADDRESSES.site4}:${MIGRATION_PORT}` });
    await Promise.race([paused, failed]);
    // A mirror in sync that is "cancelled" ends with an exact copy and reports BLOCK_JOB_COMPLETED.
    await source.execute('block-job-cancel', { device: 'plain-mirror' });
    await Promise.race([ended, failed]);
    await source.execute('migrate-continue', { state: 'pre-switchover' });
    await Promise.race([Promise.all([completed, resumed]), failed]);
    evidence.event('baseline-end');
  }

  /** Ends both QEMUs. */
  async close(): Promise<void> {
    for (const qmp of [this.#sourceQmp, this.#destinationQmp]) {
      if (qmp === undefined || qmp.isClosed) continue;
      // QEMU may close the socket before it answers.
      await qmp.execute('quit').catch(() => {});
      qmp.close();
    }
  }

  async #start(twin: Twin, namespace: Namespace, name: string): Promise<QmpClient> {
    const { evidence } = this.#options;
    mkdirSync(join(twin.consoleLog, '..'), { recursive: true, mode: 0o700 });
    for (const { overlayPath, basePath, limitBytes } of twin.disks) {
      const backing = ['-b', basePath, '-F', 'raw'];
      await execute('qemu-img', ['create', '-q', '-f', 'qcow2', ...backing, overlayPath]);
      await truncate(overlayPath, limitBytes);
    }
    evidence.commandLine('baseline', name, twin.argv);
    const stderr = evidence.path('baseline', `${name}.log`);
    const process = await namespace.spawn(twin.argv, { stderr });
    const log = evidence.qmpLog('baseline', name);
    const deadline = performance.now() + CONNECT_DEADLINE_MS;
    for (;;) {
      try {
        return await QmpClient.connect(twin.qmpSocket, { log });
      } catch (error) {
        if (process.exitCode !== null || performance.now() > deadline)
          throw new Error(`the ${name} of the plain migration did not start; see ${stderr}`, {
            cause: error,
          });
        await sleep(50);
      }
    }
  }
}

async function contains(path: string, text: string): Promise<boolean> {
  try {
    return (await readFile(path, 'latin1')).includes(text);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
