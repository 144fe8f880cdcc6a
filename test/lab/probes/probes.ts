/** Everything that looks at the guest from the correspondent: starts, steers and ends the processes. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endProcess, type Namespace } from '../namespace.ts';
import { build } from './build.ts';
import { Capture } from './capture.ts';
import type { DatagramCommand, ProbeOptions, Target } from './commands.ts';

/** A probe that is killed before it has written its log out would make losses up. */
const FLUSH_MS = 15_000;

export class Probes {
  readonly #namespace: Namespace;
  readonly #directory: string;
  readonly #targets: readonly Target[];
  readonly #echoBytes: number | undefined;
  #capture: Capture | undefined;
  #datagrams: ChildProcess | undefined;
  #connections: ChildProcess | undefined;
  #pings: ChildProcess[] = [];
  /** The compiled icmp.c. */
  #icmp: string | undefined;

  /** Logs go to `directory`: capture.pcap, icmp-NAME-LABEL.log, and those of the two probe programs. */
  constructor(
    namespace: Namespace,
    directory: string,
    targets: readonly Target[],
    options: { readonly echoBytes?: number } = {},
  ) {
    this.#echoBytes = options.echoBytes;
    this.#namespace = namespace;
    this.#directory = directory;
    this.#targets = targets;
  }

  /** Begins to capture. Resolves when packets are being captured. */
  async startCapture(): Promise<void> {
    const file = join(this.#directory, 'capture.pcap');
    this.#capture = await Capture.start(this.#namespace, 'eth0', file);
  }

  /** Numbered datagrams, connections and reports; needs the guest to be up. */
  async start(): Promise<void> {
    [this.#datagrams, this.#connections] = await Promise.all([
      this.#program('datagrams.ts'),
      this.#program('connections.ts'),
    ]);
  }

  /** Milliseconds between two echo datagrams, to the addresses in turn. */
  spacing(ms: number): void {
    this.#tell({ command: 'spacing', ms });
  }

  /** Asks the guest for its numbered datagrams. */
  startStreams(): void {
    this.#tell({ command: 'streams', on: true });
  }

  /** Asks for no more of them; resolves when all that were asked for have come, or no more will. */
  async endStreams(): Promise<void> {
    const output = this.#datagrams?.stdout;
    if (output === null || output === undefined) throw new Error('the probes do not run');
    const ended = once(output, 'data');
    this.#tell({ command: 'streams', on: false });
    await ended;
  }

  /**
   * ICMP echoes `ms` apart, to the addresses in turn: more would only measure that a Linux kernel keeps
   * no more than some 170 answers of each family waiting (icmp_sk_init in net/ipv4/icmp.c).
   * Each call writes files of its own (`label`).
   */
  async startPing(label: string, ms: number): Promise<void> {
    this.#icmp ??= await build('icmp.c', ['-O1', '-pthread']);
    const program = this.#icmp;
    const spacingUs = ms * 1000 * this.#targets.length;
    this.#pings = await Promise.all(
      this.#targets.map(({ name, address }, turn) => {
        const log = join(this.#directory, `icmp-${name}-${label}.log`);
        const timing = [`${spacingUs}`, `${turn * ms * 1000}`];
        return this.#namespace.spawn([program, address, ...timing, log]);
      }),
    );
  }

  /** Resolves when the last answers have had their time to come. */
  async stopPing(): Promise<void> {
    await Promise.all(this.#pings.splice(0).map((ping) => endProcess(ping, FLUSH_MS)));
  }

  /**
   * Reads a TCP service of the guest into a file; waits for it to be there. Throws when it is not there
   * after `deadlineMs`.
   */
  async fetch(address: string, port: number, file: string, deadlineMs: number): Promise<void> {
    const program = fileURLToPath(new URL('fetch.ts', import.meta.url));
    await this.#namespace.run(
      [process.execPath, program, address, `${port}`, file, `${deadlineMs}`],
      { timeoutMs: deadlineMs + 10_000 },
    );
  }

  async close(): Promise<void> {
    await this.stopPing();
    for (const program of [this.#datagrams, this.#connections])
      if (program !== undefined) await endProcess(program, FLUSH_MS);
    await this.#capture?.close();
    if (this.#icmp !== undefined) await rm(dirname(this.#icmp), { recursive: true, force: true });
    this.#icmp = undefined;
  }

  async #program(file: string): Promise<ChildProcess> {
    const options: ProbeOptions = {
      directory: this.#directory,
      targets: [...this.#targets],
      echoBytes: this.#echoBytes,
    };
    const path = fileURLToPath(new URL(file, import.meta.url));
    const program = await this.#namespace.spawn([process.execPath, path, JSON.stringify(options)], {
      stdout: 'pipe',
      stderr: join(this.#directory, 'probe-errors.log'),
    });
    if (program.stdout === null) throw new Error(`${file} has no output`);
    const died = once(program, 'exit').then(() => {
      throw new Error(`the probe program ${file} did not start; see probe-errors.log`);
    });
    died.catch(() => {});
    await Promise.race([once(program.stdout, 'data'), died]);
    return program;
  }

  #tell(command: DatagramCommand): void {
    this.#datagrams?.stdin?.write(`${JSON.stringify(command)}\n`);
  }
}
