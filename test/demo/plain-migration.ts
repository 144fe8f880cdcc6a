/**
 * The yardstick: a plain QEMU migration (live-migration.ts) of a twin of the demo guest (the same command line and an
 * overlay of its own) from the device to the site over the same networks.
 * Its blackout is the time from STOP at the source to RESUME at the destination.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { ADDRESSES, type Lab } from '../lab/index.ts';
import type { Evidence, Side } from './evidence.ts';
import {
  awaitBoot,
  endTwin,
  MIGRATION_PORT,
  migrateTwin,
  type RunningTwin,
  startTwin,
} from './live-migration.ts';
import { type Twin, twinOf } from './qemu-arguments.ts';

const MIGRATION_DEADLINE_MS = 60_000;

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
  readonly #twins: readonly [Twin, Twin];
  #source: RunningTwin | undefined;
  #destination: RunningTwin | undefined;

  constructor(options: BaselineOptions) {
    this.#options = options;
    const [source, destination] = twinDirectories(options.lab);
    const incoming = `tcp:0.0.0.0:${MIGRATION_PORT}`;
    this.#twins = [twinOf(options.argv, source), twinOf(options.argv, destination, incoming)];
  }

  /** Starts the twin at the device; resolves when its services run. */
  async boot(): Promise<void> {
    const { lab, evidence, signal } = this.#options;
    const [twin] = this.#twins;
    const [side] = this.#sides;
    const at = { namespace: lab.device, evidence, side, name: 'source' };
    this.#source = await startTwin({ twin, ...at });
    await awaitBoot(this.#source, signal);
  }

  /** Starts the waiting QEMU at the site. */
  async prepare(): Promise<void> {
    const { lab, evidence } = this.#options;
    const [, twin] = this.#twins;
    const [, side] = this.#sides;
    const at = { namespace: lab.site, evidence, side, name: 'destination' };
    this.#destination = await startTwin({ twin, ...at });
  }

  /** Resolves when the twin runs at the site. */
  async migrate(): Promise<void> {
    const { signal, deadlineMs = MIGRATION_DEADLINE_MS } = this.#options;
    const [source, destination] = [this.#source, this.#destination];
    if (source === undefined || destination === undefined) throw new Error('not prepared');
    const way = { address: ADDRESSES.site4, timeoutMs: deadlineMs, signal };
    await migrateTwin(source, destination, way);
  }

  /** What QEMU says is still to be copied, bytes; memory that the guest never touched counts in full. */
  async remainingBytes(): Promise<number> {
    const source = this.#source;
    if (source === undefined) throw new Error('not prepared');
    const { qmp, twin } = source;
    const jobs = blockJobs.parse(await qmp.execute('query-block-jobs'));
    const { ram } = migrateInfo.parse(await qmp.execute('query-migrate'));
    const disk = jobs.reduce((total, { len, offset }) => total + len - offset, 0);
    return disk + (ram?.remaining ?? twin.memoryBytes);
  }

  /** Ends both QEMUs. */
  async close(): Promise<void> {
    for (const running of [this.#source, this.#destination])
      if (running !== undefined) await endTwin(running);
  }

  get #sides(): readonly [Side, Side] {
    return this.#options.sides ?? ['baseline', 'baseline'];
  }
}
