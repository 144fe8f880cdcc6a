/** What is known of the machine beside its wireless link. */
import {
  type BatteryState,
  type Connection,
  type InterfacePresence,
  type LinkSample,
  readBattery,
  readInterfaces,
} from '../../link/index.ts';

/** sysfs is asked this often, ms. */
const LOOK_EVERY_MS = 5_000;

/** As `agent.conditions` tells them; what is left out stays as it was. */
export interface ToldConditions {
  readonly metered?: boolean;
  readonly onBattery?: boolean;
  readonly lid?: 'open' | 'closed';
  readonly suspendInMs?: number | null;
  readonly shutdownInMs?: number | null;
}

export class Host {
  readonly #ownFacts: boolean;
  #interfaces: readonly InterfacePresence[] = [];
  #battery: BatteryState | undefined;
  #told: Pick<ToldConditions, 'metered' | 'onBattery' | 'lid'> = {};
  /** Monotonic. */
  #suspendAtMs: number | undefined;
  #shutdownAtMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Without `ownFacts` the machine is not looked at: a recording says all there is. */
  constructor({ ownFacts }: { readonly ownFacts: boolean }) {
    this.#ownFacts = ownFacts;
  }

  async start(): Promise<void> {
    if (!this.#ownFacts) return;
    await this.#look();
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  tell(told: ToldConditions, nowMs: number): void {
    const { suspendInMs, shutdownInMs, ...rest } = told;
    const known = Object.entries(rest).filter(([, value]) => value !== undefined);
    this.#told = { ...this.#told, ...Object.fromEntries(known) };
    if (suspendInMs !== undefined) this.#suspendAtMs = deadline(suspendInMs, nowMs);
    if (shutdownInMs !== undefined) this.#shutdownAtMs = deadline(shutdownInMs, nowMs);
  }

  facts(sample: LinkSample | undefined, nowMs: number) {
    const { metered = false, lid = 'open' as const, onBattery } = this.#told;
    const left = (at: number | undefined) =>
      at === undefined ? undefined : Math.max(at - nowMs, 0);
    const battery =
      this.#battery === undefined || onBattery === undefined
        ? this.#battery
        : { ...this.#battery, onMains: !onBattery };
    return {
      connections: [...this.#wired(), ...connectionOf(sample)],
      metered,
      battery,
      lid,
      suspendInMs: left(this.#suspendAtMs),
      shutdownInMs: left(this.#shutdownAtMs),
    };
  }

  #wired(): Connection[] {
    return this.#interfaces
      .filter(({ medium, up }) => medium !== 'wifi' && up)
      .map(({ medium }) => ({ medium }));
  }

  /** Never rejects: what cannot be read is not there. */
  async #look(): Promise<void> {
    [this.#interfaces, this.#battery] = await Promise.all([readInterfaces(), readBattery()]);
  }
}

function deadline(inMs: number | null, nowMs: number): number | undefined {
  return inMs === null ? undefined : nowMs + inMs;
}

function connectionOf(sample: LinkSample | undefined): Connection[] {
  if (sample?.connected !== true) return [];
  const { medium, network, bssid } = sample;
  return [
    {
      medium,
      ...(network === undefined ? {} : { network }),
      ...(bssid === undefined ? {} : { bssid }),
    },
  ];
}
