/**
 * A TAP without native code: a QEMU without a machine whose hub joins a `tap` and a `stream` netdev. It is a process of
 * its own that outlives the datapath, is found again by its record, and started again when it has died.
 */
import { spawn } from 'node:child_process';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errorText, readFileIfPresent, writeFileAtomically } from '../common/index.ts';
import {
  identifyProcess,
  isRunning,
  type ProcessIdentity,
  processIdentity,
  QmpClient,
  signalProcess,
} from '../guest/index.ts';
import { StreamPort, type Switch } from '../switch/index.ts';
import { GUEST_MTU } from '../switch/services/index.ts';
import type { Problem } from './control.ts';
import { prepareHost, removeInterface, type TapSettings } from './host-network.ts';

/** Waits before a dead adapter is started again, milliseconds; the last one repeats. */
const RESTART_MS = [50, 200, 500, 1_000, 5_000];
/** An adapter that lived so long did not fail at once, milliseconds. */
const STABLE_MS = 10_000;
const RECONNECT_MS = 100;
const QMP_TIMEOUT_MS = 2_000;

const record = z.object({
  process: processIdentity,
  name: z.string(),
  /** Whether the interface was made by us and goes with the configuration. */
  created: z.boolean(),
});
type Record = z.infer<typeof record>;

export interface TapAdapterOptions {
  readonly directory: string;
  readonly settings: TapSettings;
  readonly portNumber: number;
  readonly owner: Switch;
  readonly qemu: string;
  readonly onUp: () => void;
  readonly onDown: () => void;
  readonly onProblem: (problem: Problem) => void;
}

export class TapAdapter {
  readonly port: StreamPort;
  settings: TapSettings;
  problems: Problem[] = [];
  readonly #options: TapAdapterOptions;
  readonly #qmpSocket: string;
  #record: Record | undefined;
  #created = false;
  #closing = false;
  #failures = 0;
  #startedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> = Promise.resolve();

  constructor(options: TapAdapterOptions) {
    this.#options = options;
    this.settings = options.settings;
    this.#qmpSocket = join(options.directory, 'tap.qmp');
    this.port = new StreamPort({
      number: options.portNumber,
      socketPath: join(options.directory, 'tap.sock'),
      mtu: GUEST_MTU,
      owner: options.owner,
      onConnected: () => {
        this.problems = this.problems.filter(({ code }) => code !== 'tap-adapter');
        options.onUp();
        if (this.#record !== undefined && this.#adopted) this.#wake();
        this.#adopted = true;
      },
      onDisconnected: () => {
        options.onDown();
        this.#check(0);
      },
    });
  }

  /** Whether the next connection comes from an adapter that has had another one before. */
  #adopted = false;

  get pid(): number | undefined {
    return this.#record?.process.pid;
  }

  /** Interface, routes, adapter. What cannot be done is in `problems`; it does not throw for that. */
  async start(): Promise<void> {
    const known = await this.#readRecord();
    this.#record = known;
    this.#created = known?.created ?? false;
    const adopted = known?.name === this.settings.name && (await isRunning(known.process));
    // Before it can connect.
    this.#adopted = adopted;
    await this.port.listen();
    await this.apply(this.settings);
    if (!adopted) await this.#spawn();
  }

  /** Changes routes; the name must stay the same. */
  async apply(settings: TapSettings): Promise<void> {
    this.settings = settings;
    const { created, problems } = await prepareHost(settings);
    this.#created ||= created;
    this.problems = problems;
    for (const problem of problems) this.#options.onProblem(problem);
  }

  /** @param remove whether adapter and interface go too. */
  async close(remove: boolean): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#timer);
    await this.#checking;
    if (remove) {
      if (this.#record !== undefined) await signalProcess(this.#record.process, 'SIGKILL');
      if (this.#created) await removeInterface(this.settings.name);
      for (const name of ['tap.json', 'tap.qmp'])
        await rm(join(this.#options.directory, name), { force: true });
    }
    await this.port.close();
  }

  /** Looks in a while whether the adapter still runs, and starts another if not. */
  #check(delay: number): void {
    if (this.#closing) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // One after the other, or two adapters would be started for one that has died.
      this.#checking = this.#checking
        .then(() => this.#revive())
        .catch((error: unknown) => this.#fail(errorText(error)));
    }, delay);
  }

  async #revive(): Promise<void> {
    if (this.#closing || this.port.connected) return;
    if (this.#record !== undefined && (await isRunning(this.#record.process))) {
      this.#check(RECONNECT_MS * 5);
      return;
    }
    if (performance.now() - this.#startedAt > STABLE_MS) this.#failures = 0;
    const wait = RESTART_MS[Math.min(this.#failures, RESTART_MS.length - 1)] as number;
    const since = performance.now() - this.#startedAt;
    if (since < wait) {
      this.#check(wait - since);
      return;
    }
    this.#failures++;
    await this.apply(this.settings);
    await this.#spawn();
  }

  async #spawn(): Promise<void> {
    const { directory, qemu } = this.#options;
    this.#startedAt = performance.now();
    this.#adopted = false;
    const log = await open(join(directory, 'tap.log'), 'w', 0o600);
    try {
      const child = spawn(qemu, this.#arguments(), {
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      });
      const started = new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', reject);
      });
      child.once('exit', () => this.#check(0));
      await started;
      child.unref();
      const identity = await this.#identify(child.pid as number);
      if (identity === undefined) {
        this.#fail('it ended at once');
        return;
      }
      this.#record = { process: identity, name: this.settings.name, created: this.#created };
      await writeFileAtomically(join(directory, 'tap.json'), JSON.stringify(this.#record));
    } catch (error) {
      this.#fail(errorText(error));
    } finally {
      await log.close();
    }
    // A QEMU that cannot open the interface ends; it shows by not being connected.
    if (!this.port.connected) this.#check(RECONNECT_MS * 5);
  }

  /** The command line of a child that has not called execve yet is ours. */
  async #identify(pid: number): Promise<ProcessIdentity | undefined> {
    const own = await identifyProcess(process.pid);
    let identity = await identifyProcess(pid);
    for (let i = 0; i < 50 && identity?.commandLineDigest === own?.commandLineDigest; i++)
      identity = await identifyProcess(pid);
    return identity;
  }

  #arguments(): string[] {
    return [
      '-M',
      'none',
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-name',
      'sojourn-tap',
      '-sandbox',
      'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
      '-qmp',
      `unix:${this.#qmpSocket},server=on,wait=off`,
      '-netdev',
      `tap,id=tap0,ifname=${this.settings.name},script=no,downscript=no,vnet_hdr=off,vhost=off`,
      '-netdev',
      `stream,id=net0,server=off,addr.type=unix,addr.path=${this.port.socketPath},reconnect-ms=${RECONNECT_MS}`,
      '-netdev',
      'hubport,id=hub0,hubid=0,netdev=tap0',
      '-netdev',
      'hubport,id=hub1,hubid=0,netdev=net0',
    ];
  }

  /** After a stall of the last datapath QEMU's queue toward us may be dead; stop and cont flush it (DESIGN). */
  #wake(): void {
    const wake = async () => {
      const qmp = await QmpClient.connect(this.#qmpSocket, { timeoutMs: QMP_TIMEOUT_MS });
      try {
        await qmp.execute('stop', {}, { timeoutMs: QMP_TIMEOUT_MS });
        await qmp.execute('cont', {}, { timeoutMs: QMP_TIMEOUT_MS });
      } finally {
        qmp.close();
      }
    };
    wake().catch(async (error: unknown) => {
      this.#fail(`it does not answer (${errorText(error)})`);
      // Without an answer it is of no use; the next one starts with an empty queue.
      if (this.#record !== undefined) await signalProcess(this.#record.process, 'SIGKILL');
    });
  }

  async #readRecord(): Promise<Record | undefined> {
    const text = await readFileIfPresent(join(this.#options.directory, 'tap.json'));
    if (text === undefined) return undefined;
    try {
      return record.parse(JSON.parse(text));
    } catch {
      // A damaged record finds no process; the interface, if it is there, is used as it is.
      return undefined;
    }
  }

  #fail(why: string): void {
    const problem: Problem = {
      code: 'tap-adapter',
      message: `The adapter of ${this.settings.name} does not run: ${why.replace(/\s+/g, ' ')}`,
      remedy: `See ${join(this.#options.directory, 'tap.log')}`,
    };
    if (!this.problems.some(({ code }) => code === problem.code))
      this.problems = [...this.problems, problem];
    this.#options.onProblem(problem);
  }
}
