/** The guest's disks at the source: QEMU mirror -> NBD on a unix socket -> journal -> channel, one of each per disk. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SojournError } from '../common/index.ts';
import type { GuestDisk } from '../guest/spec.ts';
import { DiskJournal } from './disk-journal.ts';
import { DiskShipper } from './disk-stream.ts';
import { DISK_CHANNEL } from './messages.ts';
import { NbdServer } from './nbd/index.ts';
import type { LogPort, QmpPort, QmpPortEvent, SessionPort } from './ports.ts';
import { blockJobs, mirrorId } from './qemu-names.ts';

/** What a mirror may have under way at once, bytes: what still arrives after it was paused. */
const MIRROR_BUFFER_BYTES = 4 * 1024 * 1024;
/** Unit of the mirror's dirty bitmap, bytes. */
const MIRROR_GRANULARITY = 64 * 1024;
/** Backlog of all disks at which memory may begin, bytes. */
const CAUGHT_UP_BYTES = 512 * 1024;
const LOOK_EVERY_MS = 100;

export interface DiskProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly ackedBytes: number;
  /** Bytes that must still reach the destination before it could run: dirty in the mirror, and on the way. */
  readonly backlogBytes: number;
  readonly ready: boolean;
}

interface Mirror {
  readonly id: string;
  readonly journal: DiskJournal;
  readonly shipper: DiskShipper;
  readonly server: NbdServer;
  paused: boolean;
}

export interface SourceDisksOptions {
  readonly qmp: QmpPort;
  readonly session: SessionPort;
  readonly handoffId: string;
  readonly disks: readonly GuestDisk[];
  /** Private, for the NBD sockets. */
  readonly directory: string;
  readonly log: LogPort;
  /** A mirror, its stream or the peer failed. */
  readonly onBroken: (error: unknown) => void;
}

export class SourceDisks {
  readonly #options: SourceDisksOptions;
  readonly #mirrors: Mirror[] = [];
  readonly #stopListening: (() => void)[] = [];
  readonly #completed = new Map<string, () => void>();
  #finishing = false;

  constructor(options: SourceDisksOptions) {
    this.#options = options;
  }

  /** Starts all mirrors. After an error `close` removes what was made, as always. */
  async start(): Promise<void> {
    const { qmp, disks } = this.#options;
    this.#stopListening.push(
      qmp.on('BLOCK_JOB_COMPLETED', (event) => this.#jobEnded(event)),
      qmp.on('BLOCK_JOB_CANCELLED', (event) => this.#jobEnded(event)),
    );
    for (const disk of disks) await this.#mirror(disk);
  }

  async #mirror(disk: GuestDisk): Promise<void> {
    const { qmp, session, handoffId, directory } = this.#options;
    const id = mirrorId(disk.name);
    const journal = new DiskJournal(disk.virtualBytes);
    const channel = session.openChannel(DISK_CHANNEL, { handoffId, disk: disk.name });
    const shipper = new DiskShipper(journal, channel);
    shipper.finished.catch(this.#options.onBroken);
    const path = join(directory, `${disk.name}.nbd`);
    const server = await NbdServer.listen(path, disk.name, journal, this.#options.onBroken);
    const mirror: Mirror = { id, journal, shipper, server, paused: false };
    this.#mirrors.push(mirror);
    journal.onPressure = (pressed) => this.#pace(mirror, pressed);
    await qmp.execute('blockdev-add', {
      driver: 'nbd',
      'node-name': id,
      server: { type: 'unix', path },
      export: disk.name,
      'reconnect-delay': 0,
      discard: 'unmap',
    });
    await qmp.execute('blockdev-mirror', {
      'job-id': id,
      device: disk.name,
      target: id,
      // The base is at the destination already, by its digest: only the guest's own changes move.
      sync: 'top',
      granularity: MIRROR_GRANULARITY,
      'buf-size': MIRROR_BUFFER_BYTES,
      'on-source-error': 'report',
      'on-target-error': 'report',
    });
  }

  #pace(mirror: Mirror, pressed: boolean): void {
    if (this.#finishing || mirror.paused === pressed) return;
    mirror.paused = pressed;
    const command = pressed ? 'block-job-pause' : 'block-job-resume';
    this.#options.qmp.execute(command, { device: mirror.id }).catch((error: unknown) => {
      // The job may have ended meanwhile, which is reported by its event.
      this.#options.log.warn({ err: error, job: mirror.id }, `${command} failed`);
    });
  }

  #jobEnded(event: QmpPortEvent): void {
    const device = String(event.data.device);
    if (!this.#mirrors.some((mirror) => mirror.id === device)) return;
    const failure = event.data.error;
    const done = this.#completed.get(device);
    if (failure === undefined && event.event === 'BLOCK_JOB_COMPLETED' && done !== undefined) {
      done();
      return;
    }
    this.#options.onBroken(
      new SojournError({
        kind: 'internal',
        code: 'mirror-failed',
        message: `Copying the disk ended early: ${failure ?? 'cancelled'}`,
        remedy: 'Try the handoff again; the guest and its disk are unharmed',
      }),
    );
  }

  async progress(): Promise<DiskProgress> {
    if (this.#mirrors.length === 0) {
      return { bytesDone: 0, bytesTotal: 0, ackedBytes: 0, backlogBytes: 0, ready: true };
    }
    const jobs = blockJobs.parse(await this.#options.qmp.execute('query-block-jobs'));
    const sum = { bytesDone: 0, bytesTotal: 0, ackedBytes: 0, backlogBytes: 0, ready: true };
    for (const { id, shipper } of this.#mirrors) {
      const job = jobs.find(({ device }) => device === id);
      sum.ready &&= job?.ready === true;
      const left = job === undefined ? 0 : Math.max(0, job.len - job.offset);
      sum.backlogBytes += shipper.backlogBytes + left;
      sum.ackedBytes += shipper.bytesAcked;
      sum.bytesDone += job?.offset ?? 0;
      sum.bytesTotal += job?.len ?? 0;
    }
    return sum;
  }

  /** Waits until every mirror is ready and the link has caught up. Rejects with the signal's reason. */
  async caughtUp(onProgress: (progress: DiskProgress) => void, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const progress = await this.progress();
      onProgress(progress);
      if (progress.ready && progress.backlogBytes <= CAUGHT_UP_BYTES) return;
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
  }

  /**
   * In the pause: ends the mirrors, which copies the last writes into the journals, and closes these. The journals
   * still flow to the destination afterwards. The caller bounds the time.
   */
  async finish(signal: AbortSignal): Promise<void> {
    const { qmp } = this.#options;
    this.#finishing = true;
    await Promise.all(
      this.#mirrors.map(async (mirror) => {
        const done = new Promise<void>((resolve) => this.#completed.set(mirror.id, resolve));
        signal.throwIfAborted();
        if (mirror.paused) await qmp.execute('block-job-resume', { device: mirror.id });
        // Without force, a ready mirror completes: everything written is at its target (qapi/block-core.json).
        await qmp.execute('block-job-cancel', { device: mirror.id, force: false });
        await done;
        mirror.journal.end();
      }),
    );
  }

  /** Moves whenever a byte or an operation of a disk reaches the destination. */
  get arrived(): number {
    return this.#mirrors.reduce(
      (sum, { shipper }) => sum + shipper.bytesAcked + shipper.operationsApplied,
      0,
    );
  }

  get ackedBytes(): number {
    return this.#mirrors.reduce((sum, { shipper }) => sum + shipper.bytesAcked, 0);
  }

  /** Ends servers and streams; a mirror that still runs fails, and its job ends. */
  async close(error: Error): Promise<void> {
    for (const stop of this.#stopListening) stop();
    for (const { journal } of this.#mirrors) journal.fail(error);
    await Promise.all(this.#mirrors.map(({ server }) => server.close()));
  }
}
