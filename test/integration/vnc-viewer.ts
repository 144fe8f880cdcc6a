/**
 * Somebody else's program that watches a desktop over the network: TigerVNC's viewer, on a screen of its own that nobody
 * sees. What it shows is read from that screen's memory, and what its user does comes as from a keyboard and a mouse.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from '../lab/index.ts';
import { within } from './agent-place.ts';

/** TigerVNC's viewer by either of its names, as a process that has nothing of the shell any more. */
const VIEWER = 'exec "$(command -v xtigervncviewer || command -v vncviewer)" "$@"';
const START_DEADLINE_MS = 30_000;
/** Between two looks at the screen, ms. */
const LOOK_MS = 50;

export interface VncViewerOptions {
  /** The network that it is in. */
  readonly from: Namespace;
  readonly address: string;
  readonly port: number;
  /** As made by `vncpasswd`. */
  readonly passwordFile: string;
  /** An empty folder for the memory of its screen. */
  readonly folder: string;
  readonly width: number;
  readonly height: number;
  /** Where to look for changes: rows of the picture, from and up to. */
  readonly watched: readonly [number, number];
}

/** One TCP connection as the kernel knows it (`ss`); the cookie is never given to another one. */
export interface Connection {
  readonly state: string;
  readonly local: string;
  readonly remote: string;
  readonly cookie: string;
  readonly pid: number;
}

export class VncViewer {
  readonly #options: VncViewerOptions;
  readonly #display: string;
  readonly #viewer: ChildProcess;
  #complaint = '';

  private constructor(options: VncViewerOptions, display: string, viewer: ChildProcess) {
    this.#options = options;
    this.#display = display;
    this.#viewer = viewer;
    viewer.stderr?.on('data', (text) => {
      this.#complaint += text;
    });
  }

  /** Resolves when the viewer has a window, which fills its screen and has the focus. */
  static async start(options: VncViewerOptions): Promise<VncViewer> {
    const { from, folder, width, height, address, port, passwordFile } = options;
    const size = `${width}x${height}`;
    // Without repetition of keys: on a machine that is busy each would come several times.
    const screen = ['-screen', '0', `${size}x24`, '-fbdir', folder];
    const server = ['Xvfb', '-displayfd', '1', ...screen, '-r', '-nolisten', 'tcp'];
    const xvfb = await from.spawn(server, { stdout: 'pipe' });
    if (xvfb.stdout === null) throw new Error('the X server has no output');
    const number = once(xvfb.stdout, 'data').then(([data]) => String(data).trim());
    const display = `:${await within(number, START_DEADLINE_MS, 'the X server')}`;
    const client = ['sh', '-c', VIEWER, 'viewer', '-PasswordFile', passwordFile];
    const flags = ['-RemoteResize=0', '-MenuKey=', `${address}::${port}`];
    const process = await from.spawn([...client, ...flags], {
      ...{ env: { DISPLAY: display, HOME: folder }, stdout: 'ignore', stderr: 'pipe' },
    });
    const viewer = new VncViewer(options, display, process);
    // Without a window manager nobody else does this.
    const find = ['search', '--sync', '--onlyvisible', '--name', ' - TigerVNC$'];
    const place = ['windowmove', '0', '0', 'windowsize', `${width}`, `${height}`, 'windowfocus'];
    await viewer.#xdotool(...find, ...place);
    return viewer;
  }

  /** Of the viewer, which runs. */
  get pid(): number {
    this.#expectAlive();
    return this.#viewer.pid ?? Number.NaN;
  }

  /** All connections to the server's port that anybody has in this network. */
  async connections(): Promise<Connection[]> {
    const filter = ['state', 'connected', 'dport', '=', `:${this.#options.port}`];
    const output = await this.#options.from.run(['ss', '-tnepH', ...filter]);
    return output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [state = '', , , local = '', remote = ''] = line.split(/\s+/);
        const cookie = /\bsk:(\w+)/.exec(line)?.[1] ?? '';
        return { state, local, remote, cookie, pid: Number(/\bpid=(\d+)/.exec(line)?.[1]) };
      });
  }

  /** Resolves when what is watched has changed so often. */
  async changes(count: number, deadlineMs: number): Promise<void> {
    const stop = new AbortController();
    try {
      await within(this.#watch(stop.signal, count), deadlineMs, 'the picture to change');
    } finally {
      stop.abort();
    }
  }

  /** The longest time that what is watched stood still while the action went on, ms; give or take a look. */
  async standstill(action: () => Promise<unknown>): Promise<number> {
    const stop = new AbortController();
    const watching = this.#watch(stop.signal, Number.POSITIVE_INFINITY);
    try {
      await action();
    } finally {
      stop.abort();
    }
    return watching;
  }

  async click(x: number, y: number): Promise<void> {
    await this.#xdotool('mousemove', `${x}`, `${y}`, 'click', '1');
  }

  /** Types the text and ends the line. */
  async typeLine(text: string): Promise<void> {
    await this.#xdotool('type', '--delay', '30', text);
    await this.#xdotool('key', 'Return');
  }

  /** Until the signal is aborted or it has changed `count` times; the longest time between two changes, ms. */
  async #watch(signal: AbortSignal, count: number): Promise<number> {
    let seen = await this.#look();
    let since = performance.now();
    let longest = 0;
    for (let changes = 0; changes < count && !signal.aborted; ) {
      await sleep(LOOK_MS);
      const now = await this.#look();
      longest = Math.max(longest, performance.now() - since);
      if (now.equals(seen)) continue;
      changes++;
      seen = now;
      since = performance.now();
    }
    return longest;
  }

  /** The rows that are watched, from the X server's memory (`XWDFile.h`: a header of numbers, colours, points). */
  async #look(): Promise<Buffer> {
    this.#expectAlive();
    const file = await open(join(this.#options.folder, 'Xvfb_screen0'));
    try {
      const { buffer: header } = await file.read(Buffer.alloc(80), 0, 80, 0);
      const rowBytes = header.readUInt32BE(48);
      const points = header.readUInt32BE(0) + header.readUInt32BE(76) * 12;
      const [first, end] = this.#options.watched;
      const rows = Buffer.alloc((end - first) * rowBytes);
      await file.read(rows, 0, rows.length, points + first * rowBytes);
      return rows;
    } finally {
      await file.close();
    }
  }

  #expectAlive(): void {
    const { exitCode, signalCode } = this.#viewer;
    if (exitCode !== null || signalCode !== null)
      throw new Error(`the viewer has ended: ${this.#complaint}`);
  }

  async #xdotool(...args: string[]): Promise<void> {
    await this.#options.from.run(['env', `DISPLAY=${this.#display}`, 'xdotool', ...args]);
  }
}
