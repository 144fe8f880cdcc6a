/**
 * A TAP interface as a port of a switch that runs alone: a QEMU without a machine as in `tap-adapter.ts`, but one that
 * lives and dies with the switch. The interface is made, if it is not there, and goes with the adapter then.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { execa } from 'execa';
import { errorText, SojournError } from '../common/index.ts';
import { StreamPort, type Switch } from '../switch/index.ts';

/** Waits before an adapter that ended is started again, milliseconds; the last one repeats. */
const RESTART_MS = [100, 500, 2_000, 10_000];
/** An adapter that lived so long did not fail at once, milliseconds. */
const STABLE_MS = 10_000;
const RECONNECT_MS = 100;
const COMMAND_TIMEOUT_MS = 5_000;
/** Of the first start: QEMU connects when it has opened the interface. */
const START_TIMEOUT_MS = 15_000;
/** What an adapter says before it ends is kept up to so many characters. */
const MAX_COMPLAINT = 2_000;

export interface LoneTapOptions {
  readonly number: number;
  readonly name: string;
  readonly owner: Switch;
  readonly mtu: number;
  /** Of its socket; nobody else's. */
  readonly directory: string;
  readonly qemu: string;
  readonly onProblem: (error: SojournError) => void;
}

export class LoneTap {
  readonly port: StreamPort;
  readonly #options: LoneTapOptions;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closing = false;
  #failures = 0;
  #startedAt = 0;
  #connected: () => void = () => {};

  constructor(options: LoneTapOptions) {
    this.#options = options;
    this.port = new StreamPort({
      number: options.number,
      name: options.name,
      socketPath: join(options.directory, `${options.name}.sock`),
      mtu: options.mtu,
      owner: options.owner,
      onConnected: () => {
        options.owner.portChanged(options.number);
        this.#connected();
      },
      onDisconnected: () => options.owner.portChanged(options.number),
    });
  }

  /** @throws SojournError `tap-adapter` when the first adapter does not open the interface. */
  async start(): Promise<void> {
    await this.port.listen();
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(this.#failure('it does not connect')),
        START_TIMEOUT_MS,
      );
      this.#connected = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#spawn((error) => {
        clearTimeout(timer);
        reject(error);
      });
    });
    this.#connected = () => {};
    await this.#setUp();
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#timer);
    this.#child?.kill('SIGKILL');
    await this.port.close();
  }

  /** @param failed gets the end of the adapter instead of its being started again. */
  #spawn(failed?: (error: SojournError) => void): void {
    this.#startedAt = performance.now();
    // A switch that is killed cannot end it any more: the kernel does (prctl(2), PR_SET_PDEATHSIG).
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', this.#options.qemu, ...this.#arguments()],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#child = child;
    let complaint = '';
    child.stderr.on('data', (text: Buffer) => {
      complaint = `${complaint}${text}`.slice(0, MAX_COMPLAINT);
    });
    let over = false;
    const ended = (why: string) => {
      if (over || this.#closing) return;
      over = true;
      const error = this.#failure(why);
      if (failed !== undefined && !this.port.connected) failed(error);
      else this.#again(error);
    };
    child.once('error', (error) => ended(error.message));
    child.once('close', () => ended(complaint.trim().replace(/\s+/g, ' ') || 'it ended'));
  }

  #again(error: SojournError): void {
    if (performance.now() - this.#startedAt > STABLE_MS) this.#failures = 0;
    const wait = RESTART_MS[Math.min(this.#failures++, RESTART_MS.length - 1)];
    this.#options.onProblem(error);
    this.#timer = setTimeout(() => {
      this.#spawn();
      this.#setUp().catch((error: unknown) =>
        this.#options.onProblem(this.#failure(errorText(error))),
      );
    }, wait);
  }

  async #setUp(): Promise<void> {
    const { failed, stderr } = await execa('ip', ['link', 'set', 'dev', this.#options.name, 'up'], {
      reject: false,
      timeout: COMMAND_TIMEOUT_MS,
      stdin: 'ignore',
    });
    if (failed) this.#options.onProblem(this.#failure(`it cannot be brought up: ${stderr.trim()}`));
  }

  #failure(why: string): SojournError {
    const { name } = this.#options;
    return new SojournError({
      kind: 'requirement',
      code: 'tap-adapter',
      message: `The interface ${name} cannot be used as a port: ${why}`,
      remedy: `Run the switch as root, or create it once with "ip tuntap add dev ${name} mode tap user USER"`,
    });
  }

  #arguments(): string[] {
    const { name } = this.#options;
    return [
      ...['-M', 'none', '-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'none'],
      ...['-name', `sojourn-switch-${name}`],
      '-sandbox',
      'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
      '-netdev',
      `tap,id=tap0,ifname=${name},script=no,downscript=no,vnet_hdr=off,vhost=off`,
      '-netdev',
      `stream,id=net0,server=off,addr.type=unix,addr.path=${this.port.socketPath},reconnect-ms=${RECONNECT_MS}`,
      ...['-netdev', 'hubport,id=hub0,hubid=0,netdev=tap0'],
      ...['-netdev', 'hubport,id=hub1,hubid=0,netdev=net0'],
    ];
  }
}
