/** Two places on this machine with real QEMUs, joined by a session in memory: what the handoff tests stand on. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { buildArguments } from '../../src/guest/arguments.ts';
import { QmpClient } from '../../src/guest/index.ts';
import { guestPaths } from '../../src/guest/runtime.ts';
import type { GuestSpec } from '../../src/guest/spec.ts';
import {
  HandoffDestination,
  type HandoffProgress,
  type HandoffResult,
  type IncomingGuest,
  type OwnershipRecord,
  runSource,
  type SessionPort,
  type SourceOptions,
} from '../../src/handoff/index.ts';
import { Loopback, type LoopbackOptions } from '../handoff/loopback.ts';
import { blankBase, TinyConsole, tinyGuest, tinySpec } from '../lab/tiny-guest.ts';

const run = promisify(execFile);
export const SOURCE = 'a'.repeat(64);
export const DESTINATION = 'b'.repeat(64);
/** Bytes. */
const OVERLAY_LIMIT = 2 ** 28;
const silent = { info: () => undefined, warn: () => undefined };

export class MemoryJournal {
  readonly records: OwnershipRecord[] = [];
  async append(record: OwnershipRecord): Promise<void> {
    this.records.push(record);
  }
  async recordsOf(handoffId: string): Promise<OwnershipRecord[]> {
    return this.records.filter((record) => record.handoffId === handoffId);
  }
  get types(): string[] {
    return this.records.map(({ type }) => type);
  }
}

export class LabQemu {
  readonly process: ChildProcess;
  readonly directory: string;
  readonly overlay: string;
  qmp!: QmpClient;

  constructor(process: ChildProcess, directory: string, overlay: string) {
    this.process = process;
    this.directory = directory;
    this.overlay = overlay;
  }

  async connect(): Promise<void> {
    for (;;) {
      try {
        this.qmp = await QmpClient.connect(guestPaths(this.directory).qmpSocket);
        return;
      } catch (error) {
        if (this.process.exitCode !== null) throw error;
        await delay(20);
      }
    }
  }

  async running(): Promise<boolean> {
    const status = (await this.qmp.execute('query-status')) as { running: boolean };
    return status.running;
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }

  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.kill();
    await ended;
  }
}

export class HandoffLab {
  readonly directory: string;
  readonly spec: GuestSpec;
  readonly link: Loopback;
  /** The session as each side sees it: in memory, or what a test puts here. */
  sessions: { near: SessionPort; far: SessionPort };
  readonly sourceJournal = new MemoryJournal();
  readonly destinationJournal = new MemoryJournal();
  readonly datapath: string[] = [];
  readonly progress: HandoffProgress[] = [];
  destination!: HandoffDestination;
  source!: LabQemu;
  incoming: LabQemu | undefined;
  console!: TinyConsole;
  /** Called when a QEMU waits for the guest at the destination. */
  onIncoming: (qemu: LabQemu) => void = () => undefined;
  /** Called when the source begins a phase. */
  onPhase: (phase: string) => void = () => undefined;
  readonly #qemus: LabQemu[] = [];
  readonly #served = new Set<SessionPort>();

  private constructor(directory: string, spec: GuestSpec, options: LoopbackOptions) {
    this.directory = directory;
    this.spec = spec;
    this.link = new Loopback(SOURCE, DESTINATION, options);
    this.sessions = this.link;
  }

  /** A booted guest at the source. Needs `close`. */
  static async open(
    options: LoopbackOptions & { memoryMiB?: number; diskBytes?: number } = {},
  ): Promise<HandoffLab> {
    const directory = await mkdtemp(join(tmpdir(), 'ho-'));
    const spec = tinySpec({ diskBytes: options.diskBytes ?? 64 * 1024 ** 2 });
    spec.abi.memoryMiB = options.memoryMiB ?? 128;
    const lab = new HandoffLab(directory, spec, options);
    try {
      await blankBase(join(directory, 'base.raw'), spec.abi.disks[0]?.virtualBytes ?? 0);
      lab.source = await lab.start('s', false);
      lab.console = await TinyConsole.connect(guestPaths(lab.source.directory).consoleSocket);
      await lab.console.ready();
      lab.destination = lab.makeDestination();
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** The destination answers on this session already. */
  markServed(session: SessionPort): void {
    this.#served.add(session);
  }

  makeDestination(): HandoffDestination {
    return new HandoffDestination({
      host: {
        prepareIncoming: async (): Promise<IncomingGuest> => {
          const qemu = await this.start(`d${randomUUID().slice(0, 4)}`, true);
          this.incoming = qemu;
          this.onIncoming(qemu);
          return { qmp: qemu.qmp, directory: qemu.directory };
        },
        claimed: () => undefined,
        lost: async () => undefined,
        activated: async ({ epoch }) => {
          this.datapath.push(`activated ${epoch}`);
        },
        discard: async () => {
          this.datapath.push('discard');
          await this.incoming?.end();
        },
      },
      journal: this.destinationJournal,
      preflight: async () => [],
      admit: async () => undefined,
      now: Date.now,
      log: silent,
    });
  }

  /** `held`: an incoming guest waits for `cont`, as it does in a handoff. */
  async start(name: string, incoming: boolean, held = true): Promise<LabQemu> {
    const directory = join(this.directory, name);
    await mkdir(directory);
    const overlay = join(directory, 'disk0.qcow2');
    const base = join(this.directory, 'base.raw');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', overlay]);
    await truncate(overlay, OVERLAY_LIMIT);
    const { kernel, initrd } = await tinyGuest();
    const args = buildArguments(this.spec, {
      binary: 'qemu-system-x86_64',
      directory,
      disks: [{ name: 'disk0', overlayPath: overlay, basePath: base, limitBytes: OVERLAY_LIMIT }],
      kernelPath: kernel,
      initrdPath: initrd,
      netSocket: join(directory, 'net'),
      incoming,
    });
    const all = held ? args : args.filter((argument) => argument !== '-S');
    const child = spawn('qemu-system-x86_64', all, { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr?.on('data', (chunk) => {
      text += chunk;
      if (process.env.HANDOFF_TEST_STDERR !== undefined) process.stderr.write(chunk);
    });
    child.on('exit', (code) => {
      if (code !== 0 && code !== null) process.stderr.write(`QEMU ${name}: ${text}\n`);
    });
    const qemu = new LabQemu(child, directory, overlay);
    this.#qemus.push(qemu);
    await qemu.connect();
    return qemu;
  }

  handOff(
    options: { signal?: AbortSignal; insist?: AbortSignal; handoffId?: string } = {},
  ): Promise<HandoffResult> {
    return runSource(this.sourceOptions(options));
  }

  sourceOptions(
    options: { signal?: AbortSignal; insist?: AbortSignal; handoffId?: string } = {},
  ): SourceOptions {
    const { source } = this;
    let phase = '';
    if (!this.#served.has(this.sessions.far)) this.destination.serve(this.sessions.far);
    this.#served.add(this.sessions.far);
    return {
      handoffId: options.handoffId ?? randomUUID(),
      spec: this.spec,
      epoch: 1,
      peer: this.sessions.near.peer,
      guest: { qmp: source.qmp, destroyCopy: () => source.end() },
      connect: async () => this.sessions.near,
      datapath: this.sourceDatapath(),
      journal: this.sourceJournal,
      directory: source.directory,
      onProgress: (progress) => {
        this.progress.push(progress);
        if (progress.phase !== phase) {
          phase = progress.phase;
          this.onPhase(phase);
        }
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.insist === undefined ? {} : { insist: options.insist }),
      now: Date.now,
      log: process.env.HANDOFF_TEST_LOG === undefined ? silent : loud,
    };
  }

  sourceDatapath() {
    const calls = this.datapath;
    return {
      beginSwitchover: async () => void calls.push('begin'),
      abortSwitchover: async () => void calls.push('abort'),
      commitSwitchover: async ({ epoch }: { epoch: number }) => void calls.push(`commit ${epoch}`),
      reclaim: async ({ epoch }: { epoch: number }) => void calls.push(`reclaim ${epoch}`),
    };
  }

  /** A shell on the guest where it runs now. */
  async follow(): Promise<void> {
    this.console.close();
    const at = this.incoming ?? this.source;
    this.console = await TinyConsole.connect(guestPaths(at.directory).consoleSocket);
  }

  /** The guest's disk at a place, as raw bytes' digest; its QEMU must have ended. */
  async diskDigest(qemu: LabQemu): Promise<string> {
    const raw = `${qemu.overlay}.raw`;
    await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', qemu.overlay, raw]);
    const { stdout } = await run('sha256sum', [raw]);
    return stdout.split(' ')[0] ?? '';
  }

  async close(): Promise<void> {
    this.link.end();
    this.console?.close();
    for (const qemu of this.#qemus) await qemu.end();
    await rm(this.directory, { recursive: true, force: true });
  }
}

const loud = {
  info: (details: object, message: string) => console.error(message, details),
  warn: (details: object, message: string) => console.error('WARN', message, details),
};
