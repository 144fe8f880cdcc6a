/**
 * A bridge of Open vSwitch as a gateway: set up through the database, kept as it shall be, and set up again when Open vSwitch was
 * killed or started anew. Flows are the controller's business, to whom the switch connects by itself.
 *
 *   start --> applied --database gone--> waiting --connected--> applied
 *                ^ |
 *                 \+-- somebody changed it: planned again, a few times a minute at most
 */
import { SojournError } from '../../common/index.ts';
import { type Clock, steadyClock } from '../../openflow/index.ts';
import { retryMs } from '../../switch/agent/index.ts';
import { OvsDatabase } from './database.ts';
import { elements, type Row } from './messages.ts';
import { planBridge, planRemoval } from './plan.ts';
import { type BridgePort, type BridgeSettings, bridgeSettings } from './settings.ts';

/** Where Debian and Fedora have it (ovs-vsctl(8)). */
export const DATABASE_SOCKET = '/var/run/openvswitch/db.sock';
/** Until ovs-vswitchd has carried out a change, ms. */
const CARRIED_OUT_MS = 10_000;
/** Somebody who keeps changing the bridge is not fought with more often than this. */
const REPAIRS_PER_MINUTE = 10;

const WATCHED = {
  Open_vSwitch: ['bridges', 'cur_cfg'],
  Bridge: ['ports', 'controller', 'datapath_type', 'fail_mode', 'protocols', 'other_config'],
  Controller: ['target', 'connection_mode'],
  Interface: ['ofport', 'error'],
};

export type GatewayEvent =
  /** The bridge is as it shall be; `changed` whether something had to be done for it. */
  | { readonly type: 'applied'; readonly changed: boolean }
  | { readonly type: 'problem'; readonly error: SojournError };

export interface OpenVSwitchOptions {
  readonly settings: BridgeSettings;
  /** The database's socket; `DATABASE_SOCKET` when left out. */
  readonly database?: string;
  readonly onEvent?: (event: GatewayEvent) => void;
  readonly clock?: Clock;
}

export class OpenVSwitchGateway {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #onEvent: (event: GatewayEvent) => void;
  #settings: BridgeSettings;
  #database: OvsDatabase | undefined;
  #closed = false;
  #stopTimer = () => {};
  #failures = 0;
  /** Transactions one behind the other. */
  #work: Promise<void> = Promise.resolve();
  #again = false;
  #repairs: number[] = [];
  /** Whoever waits for a change in the database. */
  #changes = Promise.withResolvers<void>();

  constructor(options: OpenVSwitchOptions) {
    this.#settings = bridgeSettings.parse(options.settings);
    this.#path = options.database ?? DATABASE_SOCKET;
    this.#clock = options.clock ?? steadyClock;
    this.#onEvent = options.onEvent ?? (() => {});
  }

  get settings(): BridgeSettings {
    return this.#settings;
  }

  /**
   * Resolves when the bridge is set up and switches.
   * @throws SojournError `ovs-not-running`, `ovs-permission`, `ovs-refused`, `ovs-idle`, `ovs-port`; then nothing is watched.
   */
  async start(): Promise<void> {
    try {
      await this.#connect();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Changes what the bridge shall be, for instance the ports; as `start`. */
  apply(settings: BridgeSettings): Promise<void> {
    this.#settings = bridgeSettings.parse(settings);
    return this.#queue(() => this.#carryOut());
  }

  /** Adds a guest's TAP, which must be there. @throws SojournError as `start`; then it is not added. */
  async attach(port: BridgePort): Promise<void> {
    const before = this.#settings;
    const others = before.ports.filter(({ name }) => name !== port.name);
    try {
      await this.apply({ ...before, ports: [...others, port] });
    } catch (error) {
      this.#settings = before;
      // What cannot be undone now is when the database is back.
      await this.apply(before).catch(() => {});
      throw error;
    }
  }

  detach(name: string): Promise<void> {
    const ports = this.#settings.ports.filter((port) => port.name !== name);
    return this.apply({ ...this.#settings, ports });
  }

  /** Takes the bridge away, if it is ours, and ends; not started before, too. @throws SojournError as `start`. */
  async remove(): Promise<void> {
    await this.#queue(async () => {
      const database = this.#database ?? (await OvsDatabase.connect(this.#path));
      this.#database = database;
      const operations = planRemoval(await read(database), this.#settings.name);
      if (operations.length > 0) await database.transact(operations);
    });
    this.close();
  }

  /** Ends the watching; the bridge stays and goes on switching. */
  close(): void {
    this.#closed = true;
    this.#stopTimer();
    this.#database?.close();
  }

  async #connect(): Promise<void> {
    const database = await OvsDatabase.connect(this.#path);
    this.#database = database;
    await this.#queue(async () => {
      await database.watch(WATCHED, () => this.#changed());
      await this.#carryOut();
    });
    this.#failures = 0;
    database.closed.then((error) => this.#lost(error));
  }

  #lost(error: SojournError): void {
    this.#database = undefined;
    if (this.#closed) return;
    this.#onEvent({ type: 'problem', error });
    this.#reconnectLater();
  }

  #reconnectLater(): void {
    const wait = retryMs(this.#failures++, Math.random());
    this.#stopTimer = this.#clock.after(wait, () => {
      this.#connect().catch((error: SojournError) => {
        this.#database?.close();
        this.#database = undefined;
        if (this.#closed) return;
        this.#onEvent({ type: 'problem', error });
        this.#reconnectLater();
      });
    });
  }

  #changed(): void {
    const waiting = this.#changes;
    this.#changes = Promise.withResolvers();
    waiting.resolve();
    if (this.#again || this.#closed) return;
    this.#again = true;
    this.#queue(async () => {
      this.#again = false;
      await this.#repair();
    }).catch((error: SojournError) => {
      if (!this.#closed && this.#database !== undefined) this.#onEvent({ type: 'problem', error });
    });
  }

  /** What we changed ourselves is as it shall be, so that this ends. */
  async #repair(): Promise<void> {
    const database = this.#database;
    if (database === undefined) return;
    if (planBridge(await read(database), this.#settings).length === 0) return;
    const now = this.#clock.now();
    this.#repairs = this.#repairs.filter((at) => now - at < 60_000);
    if (this.#repairs.length >= REPAIRS_PER_MINUTE)
      throw new SojournError({
        kind: 'conflict',
        code: 'ovs-contended',
        message: `Somebody else keeps changing the bridge ${this.#settings.name}`,
        remedy: 'Leave the bridge to Sojourn, or give it another name',
      });
    this.#repairs.push(now);
    await this.#carryOut();
  }

  async #carryOut(): Promise<void> {
    const database = this.#database;
    if (database === undefined)
      throw new SojournError({
        kind: 'unreachable',
        code: 'ovs-not-running',
        message: `Open vSwitch's database at ${this.#path} is away`,
        remedy: 'Start Open vSwitch; the gateway is set up as soon as it answers',
      });
    const operations = planBridge(await read(database), this.#settings);
    if (operations.length > 0) await database.transact(operations);
    await this.#carriedOut(database);
    this.#onEvent({ type: 'applied', changed: operations.length > 0 });
  }

  async #carriedOut(database: OvsDatabase): Promise<void> {
    const deadline = this.#clock.now() + CARRIED_OUT_MS;
    for (;;) {
      const changes = this.#changes.promise;
      const [switches] = await database.select('Open_vSwitch');
      if (Number(switches?.cur_cfg) >= Number(switches?.next_cfg)) break;
      const left = deadline - this.#clock.now();
      if (left <= 0) throw idle();
      const late = Promise.withResolvers<void>();
      const stop = this.#clock.after(left, late.resolve);
      await Promise.race([changes, late.promise, database.closed]);
      stop();
    }
    const interfaces = await database.select('Interface');
    for (const port of this.#settings.ports) {
      const row = interfaces.find(({ name }) => name === port.name);
      const problem = portProblem(row, port.number);
      if (problem !== undefined) throw portFailed(port.name, problem);
    }
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }
}

async function read(database: OvsDatabase) {
  const [bridges = [], ports = [], interfaces = [], controllers = []] = await Promise.all(
    ['Bridge', 'Port', 'Interface', 'Controller'].map((table) => database.select(table)),
  );
  return { bridges, ports, interfaces, controllers };
}

function portProblem(row: Row | undefined, number: number): string | undefined {
  const [error] = elements(row?.error);
  if (error !== undefined) return String(error);
  const [ofport] = elements(row?.ofport);
  if (ofport === undefined || ofport === -1) return 'Open vSwitch did not take it as a port';
  return ofport === number ? undefined : `it became port ${ofport} instead of ${number}`;
}

function portFailed(name: string, why: string): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'ovs-port',
    message: `The interface ${name} cannot be a port of the gateway: ${why}`,
    remedy: `Look whether "ip link show ${name}" finds it and "ovs-vsctl show" has it only once`,
  });
}

function idle(): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'ovs-idle',
    message: 'Open vSwitch has taken the configuration but does not carry it out',
    remedy: 'Start ovs-vswitchd, and look into its log',
  });
}
