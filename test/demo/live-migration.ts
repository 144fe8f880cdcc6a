/**
 * A live migration by QEMU alone, as its documentation has it (interop/live-block-operations): disk by a mirror to the
 * destination's NBD server, memory by TCP, all migration parameters as they are. Of the capabilities only
 * `pause-before-switchover` and `events` are on, because without the former QEMU cannot end a mirror and a migration at
 * the same instant.
 */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { QmpClient } from '../../src/guest/index.ts';
import type { Namespace } from '../lab/index.ts';
import type { Evidence, Side } from './evidence.ts';
import type { Twin } from './qemu-arguments.ts';

const execute = promisify(execFile);
export const MIGRATION_PORT = 4444;
const NBD_PORT = 10809;
const CONNECT_DEADLINE_MS = 20_000;
const BOOT_DEADLINE_MS = 60_000;
const MIRROR = 'plain-mirror';
/** What the guest's console says when its services run. */
const BOOTED = 'demo-services: up';

export interface RunningTwin {
  readonly twin: Twin;
  readonly qmp: QmpClient;
}

export interface StartOptions {
  readonly twin: Twin;
  readonly namespace: Namespace;
  readonly evidence: Evidence;
  /** Folder of the evidence, and what its files are called. */
  readonly side: Side;
  readonly name: string;
}

/** Starts a QEMU with an empty overlay; resolves when it answers. */
export async function startTwin(options: StartOptions): Promise<RunningTwin> {
  const { twin, namespace, evidence, side, name } = options;
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
      return { twin, qmp: await QmpClient.connect(twin.qmpSocket, { log }) };
    } catch (error) {
      if (process.exitCode !== null || performance.now() > deadline)
        throw new Error(`the ${name} of the migration did not start; see ${stderr}`, {
          cause: error,
        });
      await sleep(50);
    }
  }
}

/** Resolves when the guest's services run. */
export async function awaitBoot({ twin }: RunningTwin, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + BOOT_DEADLINE_MS;
  while (!(await contains(twin.consoleLog, BOOTED))) {
    signal.throwIfAborted();
    if (performance.now() > deadline) throw new Error('the guest did not boot');
    await sleep(100);
  }
}

export interface MigrationOptions {
  /** Of the destination, for memory and disk. */
  readonly address: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** The guest has stopped at the source; the migration does not wait for what this begins. */
  readonly atSwitchover?: () => void;
}

/** Resolves when the guest runs at the destination, which waits for it at `MIGRATION_PORT`. */
export async function migrateTwin(
  { qmp: source, twin }: RunningTwin,
  { qmp: destination }: RunningTwin,
  options: MigrationOptions,
): Promise<void> {
  const { address, timeoutMs, signal, atSwitchover } = options;
  const disk = twin.disks[0]?.name;
  if (disk === undefined) throw new Error('the guest has no disk');
  const wait = { timeoutMs, signal };
  const inet = (port: number) => ({ type: 'inet', host: address, port: `${port}` });

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
  await source.execute('migrate', { uri: `tcp:${address}:${MIGRATION_PORT}` });
  await Promise.race([paused, failed]);
  atSwitchover?.();
  // A mirror in sync that is "cancelled" ends with an exact copy and reports BLOCK_JOB_COMPLETED.
  await source.execute('block-job-cancel', { device: MIRROR });
  await Promise.race([ended, failed]);
  await source.execute('migrate-continue', { state: 'pre-switchover' });
  await Promise.race([Promise.all([completed, resumed]), failed]);
}

export async function endTwin({ qmp }: RunningTwin): Promise<void> {
  if (qmp.isClosed) return;
  // QEMU may close the socket before it answers.
  await qmp.execute('quit').catch(() => {});
  qmp.close();
}

async function contains(path: string, text: string): Promise<boolean> {
  try {
    return (await readFile(path, 'latin1')).includes(text);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
