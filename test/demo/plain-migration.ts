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
import { z } from 'zod';
import { QmpClient } from '../../src/guest/index.ts';
import { ADDRESSES, type Lab, type Namespace } from '../lab/index.ts';
import type { Evidence, Side } from './evidence.ts';
import { type Twin, twinOf } from './qemu-arguments.ts';

const execute = promisify(execFile);
const MIGRATION_PORT = 4444;
const NBD_PORT = 10809;
const CONNECT_DEADLINE_MS = 20_000;
const BOOT_DEADLINE_MS = 60_000;
const MIGRATION_DEADLINE_MS = 60_000;
const MIRROR = 'plain-mirror';
/** What the guest's console says when its services run. */
const BOOTED = 'demo-services: up';

export interface BaselineOptions {
  readonly lab: Lab;
  readonly evidence: Evidence;
  /** Command line of the demo guest at the device. */
  readonly argv: readonly string[];
  readonly signal: AbortSignal;
  /** For the migration, milliseconds. */
  readonly deadlineMs?: number;
  /** Folders of the evidence for source and destination. */
  readonly sides?: readonly [Side, Side];
}

const migrateInfo = z.looseObject({ ram: z.looseObject({ remaining: z.number() }).optional() });
const blockJobs = z.array(z.looseObject({ len: z.number(), offset: z.number() }));

/** Where the twins have their sockets and overlays, source and destination. */
export function twinDirectories(lab: Lab): readonly [string, string] {
  return [join(lab.memory, 'plain-a'), join(lab.memory, 'plain-b')];
}

export class PlainMigration {
  readonly #options: BaselineOptions;
  readonly #source: Twin;
  readonly #destination: Twin;
  #sourceQmp: QmpClient | undefined;
  #destinationQmp: QmpClient | undefined;

  constructor(options: BaselineOptions) {
    this.#options = options;
    const [source, destination] = twinDirectories(options.lab);
    const incoming = `tcp:0.0.0.0:${MIGRATION_PORT}`;
    this.#source = twinOf(options.argv, source);
    this.#destination = twinOf(options.argv, destination, incoming);
  }

  /** Starts the twin at the device; resolves when its services run. */
  async boot(): Promise<void> {
    const { lab } = this.#options;
    const [side] = this.#sides;
    this.#sourceQmp = await this.#start(this.#source, lab.device, side, 'source');
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
    const [, side] = this.#sides;
    this.#destinationQmp = await this.#start(this.#destination, lab.site, side, 'destination');
  }

  /** Resolves when the twin runs at the site. */
  async migrate(): Promise<void> {
    const { signal, deadlineMs = MIGRATION_DEADLINE_MS } = this.#options;
    const [source, destination] = [this.#sourceQmp, this.#destinationQmp];
    if (source === undefined || destination === undefined) throw new Error('not prepared');
    const disk = this.#source.disks[0]?.name;
    if (disk === undefined) throw new Error('the guest has no disk');
    const wait = { timeoutMs: deadlineMs, signal };
    const inet = (port: number) => ({ type: 'inet', host: ADDRESSES.site4, port: `${port}` });

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
      'job-id': MIRROR,
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
    await source.execute('block-job-cancel', { device: MIRROR });
    await Promise.race([ended, failed]);
    await source.execute('migrate-continue', { state: 'pre-switchover' });
    await Promise.race([Promise.all([completed, resumed]), failed]);
  }

  /** What QEMU says is still to be copied, bytes; memory that the guest never touched counts in full. */
  async remainingBytes(): Promise<number> {
    const source = this.#sourceQmp;
    if (source === undefined) throw new Error('not prepared');
    const jobs = blockJobs.parse(await source.execute('query-block-jobs'));
    const { ram } = migrateInfo.parse(await source.execute('query-migrate'));
    const disk = jobs.reduce((total, { len, offset }) => total + len - offset, 0);
    return disk + (ram?.remaining ?? this.#source.memoryBytes);
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

  get #sides(): readonly [Side, Side] {
    return this.#options.sides ?? ['baseline', 'baseline'];
  }

  async #start(twin: Twin, namespace: Namespace, side: Side, name: string): Promise<QmpClient> {
    const { evidence } = this.#options;
    mkdirSync(join(twin.consoleLog, '..'), { recursive: true, mode: 0o700 });
    for (const { overlayPath, basePath, limitBytes } of twin.disks) {
      const backing = ['-b', basePath, '-F', 'raw'];
      await execute('qemu-img', ['create', '-q', '-f', 'qcow2', ...backing, overlayPath]);
      await truncate(overlayPath, limitBytes);
    }
    evidence.commandLine(side, name, twin.argv);
    const stderr = evidence.path(side, `${name}.log`);
    const process = await namespace.spawn(twin.argv, { stderr });
    const log = evidence.qmpLog(side, name);
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
