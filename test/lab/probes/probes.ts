/** Everything that looks at the guest from the correspondent: starts, steers and ends the processes. */
import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { endProcess, type Namespace } from '../namespace.ts';
import type { DatagramCommand, ProbeOptions, Target } from './commands.ts';

/** Bytes kept of each captured packet: all headers and what a probe's number needs. */
const SNAPSHOT_BYTES = 160;

/** A probe that is killed before it has written its log out would make losses up. */
const FLUSH_MS = 15_000;

/** The kernel hands packets to tcpdump up to a second late, and what it still has at the end is gone. */
const CAPTURE_MS = 1200;

export class Probes {
  readonly #namespace: Namespace;
  readonly #directory: string;
  readonly #targets: readonly Target[];
  readonly #echoBytes: number | undefined;
  #capture: ChildProcess | undefined;
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
    const library = groupsCanBeSet()
      ? undefined
      : await build('keep-groups.c', ['-shared', '-fPIC']);
    const capture = await this.#namespace.spawn(
      [
        ...['tcpdump', '-i', 'eth0', '-n', '-Z', 'root', '-B', '16384', '-s', `${SNAPSHOT_BYTES}`],
        ...['-w', file],
      ],
      { stderr: 'pipe', env: library === undefined ? {} : { LD_PRELOAD: library } },
    );
    this.#capture = capture;
    if (capture.stderr === null) throw new Error('tcpdump has no output');
    const died = once(capture, 'exit').then(() => {
      throw new Error('tcpdump ended before it captured anything');
    });
    died.catch(() => {});
    await Promise.race([once(capture.stderr, 'data'), died]);
    capture.stderr.resume();
    if (library !== undefined) await rm(dirname(library), { recursive: true });
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
    if (this.#capture !== undefined) {
      await sleep(CAPTURE_MS);
      await endProcess(this.#capture, FLUSH_MS);
    }
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

function groupsCanBeSet(): boolean {
  return readFileSync('/proc/self/setgroups', 'utf8').trim() === 'allow';
}

/** Compiles a C file of this folder. Returns the result, alone in a folder of its own. */
async function build(source: string, flags: readonly string[]): Promise<string> {
  const result = join(await mkdtemp(join(tmpdir(), 'sojourn-probe-')), source.replace('.c', ''));
  const path = fileURLToPath(new URL(source, import.meta.url));
  await promisify(execFile)('cc', [...flags, '-o', result, path]);
  return result;
}
