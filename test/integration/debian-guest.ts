/** What a user of the ordinary Debian guest does: logs in by ssh, and leaves things running in the session. */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../lab/index.ts';
import { within } from './agent-place.ts';

/** Made by `resources/guest/debian`. */
export type DebianImage = 'debian' | 'desktop';

export function imageFolder(image: DebianImage): string {
  return fileURLToPath(new URL(`../../.cache/${image}-guest/current`, import.meta.url));
}

const COMMAND_DEADLINE_MS = 60_000;
/** Between two looks whether a guest that boots lets anybody in. */
const RETRY_MS = 1_000;

/** One line of the counter in an ssh session. */
export interface Tick {
  readonly count: number;
  /** Clocks of the guest: the time of day, and since it was booted, ms. */
  readonly wallMs: number;
  readonly bootMs: number;
  /** When the line arrived here, ms. */
  readonly at: number;
}

export class DebianGuest {
  readonly #from: Namespace;
  readonly #address: string;
  readonly #image: DebianImage;

  /** As seen by somebody in the network `from`. */
  constructor(from: Namespace, address: string, image: DebianImage = 'debian') {
    this.#from = from;
    this.#address = address;
    this.#image = image;
  }

  /** Runs a command of a shell in the guest; throws with its standard error. */
  async run(command: string, deadlineMs = COMMAND_DEADLINE_MS): Promise<string> {
    const output = await this.#from.run(this.#ssh(command), { timeoutMs: deadlineMs });
    return output.trim();
  }

  /** Resolves when a boot other than `before` lets a user in and has started all it wants to; returns its id. */
  async booted(deadlineMs: number, before?: string): Promise<string> {
    const deadline = performance.now() + deadlineMs;
    for (;;) {
      try {
        const boot = await this.run('cat /proc/sys/kernel/random/boot_id', 20_000);
        if (boot !== before) {
          await this.run('systemctl is-system-running --wait || true');
          return boot;
        }
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
      if (performance.now() > deadline) throw new Error('the guest was not booted again');
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** A session that counts five times a second, for as long as it is connected. */
  async count(): Promise<CountingSession> {
    // Without programs that would have to be loaded for every line; EPOCHREALTIME is bash's.
    const script =
      'n=0; while sleep 0.2; do n=$((n+1)); read -r up _ </proc/uptime; echo "$n $EPOCHREALTIME $up"; done';
    const argv = this.#ssh(`exec bash -c '${script}'`);
    return new CountingSession(await this.#from.spawn(argv, { stdout: 'pipe', stderr: 'pipe' }));
  }

  #ssh(command: string): string[] {
    const options = {
      BatchMode: 'yes',
      ConnectTimeout: '15',
      HostKeyAlias: 'debian',
      StrictHostKeyChecking: 'yes',
      UserKnownHostsFile: join(imageFolder(this.#image), 'known_hosts'),
    };
    const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const key = join(imageFolder(this.#image), 'id_ed25519');
    return ['ssh', '-F', 'none', '-i', key, ...flags, `root@${this.#address}`, command];
  }
}

export class CountingSession extends EventEmitter<{ tick: [] }> {
  readonly ticks: Tick[] = [];
  readonly #ssh: ChildProcess;
  #complaint = '';
  #ended = false;

  constructor(ssh: ChildProcess) {
    super();
    this.#ssh = ssh;
    ssh.once('exit', () => {
      this.#ended = true;
      this.emit('tick');
    });
    ssh.stderr?.on('data', (text) => {
      this.#complaint += text;
    });
    if (ssh.stdout === null) throw new Error('the session has no output');
    createInterface({ input: ssh.stdout }).on('line', (line) => {
      const [count, wall, up] = line.split(' ').map(Number);
      this.ticks.push({
        count: count ?? Number.NaN,
        wallMs: (wall ?? Number.NaN) * 1000,
        bootMs: (up ?? Number.NaN) * 1000,
        at: Date.now(),
      });
      this.emit('tick');
    });
  }

  /** Resolves with the next `count` ticks; rejects when the session ends before. */
  async next(count: number, deadlineMs = COMMAND_DEADLINE_MS): Promise<Tick[]> {
    const from = this.ticks.length;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => {
      if (this.ticks.length >= from + count) resolve();
      else if (this.#ended) reject(new Error(`the ssh session has ended: ${this.#complaint}`));
    };
    this.on('tick', look);
    look();
    try {
      await within(promise, deadlineMs, 'the counter in the ssh session');
    } finally {
      this.off('tick', look);
    }
    return this.ticks.slice(from);
  }

  close(): void {
    this.#ssh.kill();
  }
}
