/** Follows the host, tells the agent, and holds up sleep for the seconds that leaving takes. */
import { powerMonitor } from 'electron';
import type { Status } from '../../src/api/index.ts';
import { errorText } from '../../src/common/index.ts';
import type { Bus } from './bus.ts';
import { type Conditions, difference, tellable } from './conditions.ts';
import { Inhibitor } from './inhibitor.ts';
import { type Leaving, mayHaveToLeave, mayLetGo } from './leaving.ts';
import { followServices } from './services.ts';

/** How often it is looked at while sleep waits, ms. */
const WATCH_MS = 200;
/** How often the agent is told when somebody used this device, ms. */
const USED_EVERY_MS = 15_000;

export interface HostOptions {
  /** Rejects while the agent is away; it is told again when it is back. */
  readonly tell: (conditions: NonNullable<ReturnType<typeof tellable>>) => Promise<unknown>;
  readonly log: (problem: string) => void;
}

export class Host {
  readonly #options: HostOptions;
  readonly #inhibitor = new Inhibitor();
  #conditions: Conditions = {};
  #status: Status | undefined;
  #bus: Bus | undefined;
  #leaving: Leaving | undefined;
  #watch: NodeJS.Timeout | undefined;
  #use: NodeJS.Timeout | undefined;
  #lockedAt: number | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
  }

  get conditions(): Conditions {
    return this.#conditions;
  }

  async start(): Promise<void> {
    this.#tellUse();
    this.#use = setInterval(() => this.#tellUse(), USED_EVERY_MS);
    if (process.platform === 'linux') {
      this.#bus = await followServices((conditions) => this.#take(conditions));
      return;
    }
    this.#take({ onBattery: powerMonitor.isOnBatteryPower() });
    powerMonitor.on('on-ac', () => this.#take({ onBattery: false }));
    powerMonitor.on('on-battery', () => this.#take({ onBattery: true }));
    powerMonitor.on('suspend', () => this.#take({ suspendInMs: 0 }));
    powerMonitor.on('resume', () => this.#take({ suspendInMs: null }));
    powerMonitor.on('shutdown', () => this.#take({ shutdownInMs: 0 }));
    powerMonitor.on('lock-screen', () => this.#take({ locked: true }));
    powerMonitor.on('unlock-screen', () => this.#take({ locked: false }));
  }

  /** @param status undefined while the agent is away */
  agentChanged(status: Status | undefined): void {
    const back = this.#status === undefined && status !== undefined;
    this.#status = status;
    if (back) this.#tell(this.#conditions);
    if (this.#leaving !== undefined) return;
    if (mayHaveToLeave(status))
      this.#inhibitor.hold('A guest may have to leave this machine first');
    else this.#inhibitor.release();
  }

  close(): void {
    clearInterval(this.#watch);
    clearInterval(this.#use);
    this.#inhibitor.release();
    this.#bus?.disconnect();
  }

  #take(now: Conditions): void {
    const changed = difference(this.#conditions, now);
    if (changed === undefined) return;
    this.#conditions = { ...this.#conditions, ...changed };
    if (changed.locked !== undefined)
      this.#lockedAt = changed.locked ? performance.now() : undefined;
    this.#tell(changed);
    const patienceMs = changed.suspendInMs ?? changed.shutdownInMs;
    if (typeof patienceMs === 'number') this.#wait(patienceMs);
    if (changed.suspendInMs === null || changed.shutdownInMs === null) this.#stopWaiting();
  }

  /** Keys and pointer, of any program. */
  #tellUse(): void {
    const idleMs = powerMonitor.getSystemIdleTime() * 1000;
    const lockedMs = this.#lockedAt === undefined ? 0 : performance.now() - this.#lockedAt;
    this.#take({ usedMsAgo: Math.max(idleMs, lockedMs) });
  }

  #tell(conditions: Conditions): void {
    const told = tellable(conditions);
    if (told === undefined || this.#status === undefined) return;
    this.#options.tell(told).catch((error: unknown) => this.#options.log(errorText(error)));
  }

  #wait(patienceMs: number): void {
    this.#leaving = { sinceMs: performance.now(), patienceMs };
    clearInterval(this.#watch);
    this.#watch = setInterval(() => {
      if (this.#leaving === undefined) return;
      if (!mayLetGo(this.#leaving, this.#status, performance.now())) return;
      clearInterval(this.#watch);
      this.#inhibitor.release();
    }, WATCH_MS);
  }

  #stopWaiting(): void {
    clearInterval(this.#watch);
    this.#leaving = undefined;
    this.agentChanged(this.#status);
  }
}
