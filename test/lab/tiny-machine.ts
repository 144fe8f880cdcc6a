/** A tiny guest as a QEMU process, started the way the agent starts guests, with everything in one directory. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createOverlay,
  GuestProcess,
  type GuestProcessOptions,
  type GuestRuntime,
  guestPaths,
} from '../../src/guest/index.ts';
import type { GuestSpec } from '../../src/guest/spec.ts';
import { blankBase, TinyConsole, tinyGuest } from './tiny-guest.ts';

/** Short, because of the limit on socket paths; in memory, because overlays are. */
const PARENT = '/dev/shm';

export class TinyMachines {
  readonly directory: string;
  readonly #machines: TinyMachine[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<TinyMachines> {
    return new TinyMachines(await mkdtemp(join(PARENT, 'tiny-')));
  }

  /** Where the parts of the guest are at the place `name`; makes base and an empty overlay of each disk. */
  async runtime(spec: GuestSpec, name: string, change: Partial<GuestRuntime> = {}) {
    const home = join(this.directory, name);
    await mkdir(home, { recursive: true });
    const { kernel, initrd } = await tinyGuest();
    const runtime: GuestRuntime = {
      binary: 'qemu-system-x86_64',
      directory: join(home, 'run'),
      disks: spec.abi.disks.map((disk) => ({
        name: disk.name,
        overlayPath: join(home, `${disk.name}.qcow2`),
        basePath: join(this.directory, `${disk.name}-base.raw`),
        limitBytes: spec.overlayLimitBytes,
      })),
      kernelPath: kernel,
      initrdPath: initrd,
      netSocket: join(home, 'net.sock'),
      incoming: false,
      ...change,
    };
    for (const [index, disk] of spec.abi.disks.entries()) {
      const local = runtime.disks[index];
      if (local === undefined) continue;
      await blankBase(local.basePath, disk.virtualBytes);
      await createOverlay(disk, local);
    }
    return runtime;
  }

  async start(
    spec: GuestSpec,
    name: string,
    change: Partial<GuestRuntime> = {},
    options: GuestProcessOptions = {},
  ): Promise<TinyMachine> {
    return this.startWith(spec, await this.runtime(spec, name, change), options);
  }

  async startWith(
    spec: GuestSpec,
    runtime: GuestRuntime,
    options: GuestProcessOptions = {},
  ): Promise<TinyMachine> {
    const machine = new TinyMachine(
      spec,
      runtime,
      await GuestProcess.start(spec, runtime, options),
    );
    this.#machines.push(machine);
    return machine;
  }

  /** Kills what still runs, removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#machines.map((machine) => machine.process.kill()));
    await rm(this.directory, { recursive: true, force: true });
  }
}

export class TinyMachine {
  readonly spec: GuestSpec;
  readonly runtime: GuestRuntime;
  process: GuestProcess;

  constructor(spec: GuestSpec, runtime: GuestRuntime, process: GuestProcess) {
    this.spec = spec;
    this.runtime = runtime;
    this.process = process;
  }

  get qmp() {
    return this.process.qmp;
  }

  get paths() {
    return guestPaths(this.runtime.directory);
  }

  overlayPath(index = 0): string {
    return this.runtime.disks[index]?.overlayPath ?? '';
  }

  console(): Promise<TinyConsole> {
    return TinyConsole.connect(this.paths.consoleSocket);
  }

  /** The console, once the guest's shell takes commands. */
  async booted(): Promise<TinyConsole> {
    const console = await this.console();
    await console.ready();
    return console;
  }
}
