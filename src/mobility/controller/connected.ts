/** A gateway that is connected, and whether its flows are those that it should have. */
import { SojournError } from '../../common/index.ts';
import type { Clock } from '../../openflow/index.ts';
import {
  type Change,
  type DesiredFlow,
  type Gateway,
  type InstalledFlow,
  PHASES,
  planChanges,
} from '../flows/index.ts';
import type { GatewayLink } from './gateway-link.ts';
import { Returns } from './misses.ts';
import type { Turns } from './turns.ts';

/** Waits before a gateway that refused something is looked at again, ms; the last one repeats. */
const REPAIR_MS = [1_000, 5_000, 30_000, 60_000];

/** What a look at a gateway's flows found and did. */
export interface Repair {
  readonly put: number;
  readonly deleted: number;
  /** As they should be from the beginning. */
  readonly kept: number;
  readonly tookMs: number;
}

export interface ConnectedOptions {
  readonly gateway: Gateway;
  readonly peer: string;
  readonly link: GatewayLink;
  readonly clock: Clock;
  /** Of the repairs of all gateways. */
  readonly turns: Turns;
  /** What is there, before it is compared. */
  readonly found: (flows: readonly InstalledFlow[]) => void;
  readonly desired: () => DesiredFlow[];
  readonly repaired: (repair: Repair) => void;
  readonly failed: (error: SojournError) => void;
}

export class Connected {
  readonly gateway: Gateway;
  readonly peer: string;
  readonly link: GatewayLink;
  readonly returns = new Returns();
  readonly #options: ConnectedOptions;
  #revision = 0;
  #failures = 0;
  #closed = false;
  #stopTimer = () => {};
  #repairing: Promise<boolean> | undefined;

  constructor(options: ConnectedOptions) {
    this.#options = options;
    this.gateway = options.gateway;
    this.peer = options.peer;
    this.link = options.link;
  }

  /**
   * While it lasts, changes need not be sent: they are made with it. Resolves with whether the gateway has what it should.
   */
  get repairing(): Promise<boolean> | undefined {
    return this.#repairing;
  }

  /** What the gateway should have is another from now on. */
  changed(): void {
    this.#revision += 1;
  }

  /** Reads the flows and repairs what differs, and nothing else. */
  repair(): Promise<boolean> {
    this.#stopTimer();
    const { turns } = this.#options;
    this.#repairing ??= turns.run(() => this.#repair());
    return this.#repairing;
  }

  /** Something was refused or not answered: looks at the gateway again, a while later. */
  repairLater(): void {
    if (this.#closed) return;
    this.#stopTimer();
    const wait = REPAIR_MS[Math.min(this.#failures++, REPAIR_MS.length - 1)] as number;
    this.#stopTimer = this.#options.clock.after(wait, () => void this.repair());
  }

  /** The connection is over. */
  end(): void {
    this.#closed = true;
    this.#stopTimer();
  }

  async #repair(): Promise<boolean> {
    const { clock, found, repaired, failed } = this.#options;
    const startedAt = clock.now();
    try {
      if (this.#closed) return false;
      const { put, deleted, kept, refusal } = await this.#converge(found);
      if (refusal !== undefined) throw refusal;
      this.#failures = 0;
      repaired({ put, deleted, kept, tookMs: clock.now() - startedAt });
      return true;
    } catch (error) {
      this.#repairing = undefined;
      if (this.#closed) return false;
      if (!(error instanceof SojournError)) throw error;
      failed(error);
      this.repairLater();
      return false;
    }
  }

  async #converge(
    found: ConnectedOptions['found'],
  ): Promise<Omit<Repair, 'tookMs'> & { readonly refusal: SojournError | undefined }> {
    let have: readonly InstalledFlow[] = await this.link.readFlows();
    found(have);
    const sum = { put: 0, deleted: 0, kept: have.length };
    let refusal: SojournError | undefined;
    let revision: number;
    let first = true;
    do {
      revision = this.#revision;
      const want = this.#options.desired();
      const plan = planChanges(have, want);
      for (const phase of PHASES) {
        const changes = plan[phase];
        const deleted = changes.filter(({ type }) => type === 'delete').length;
        sum.deleted += deleted;
        sum.put += changes.length - deleted;
        refusal = (await this.#apply(changes)) ?? refusal;
      }
      if (first) sum.kept = want.length - sum.put;
      first = false;
      have = want;
      // What has changed meanwhile was not sent by anybody else.
    } while (revision !== this.#revision);
    // In the same step as the last look at the revision: from now on changes are sent by who makes them.
    this.#repairing = undefined;
    return { ...sum, refusal };
  }

  /** A flow that the switch refuses keeps no other from being there. */
  async #apply(changes: readonly Change[]): Promise<SojournError | undefined> {
    try {
      await this.link.apply(changes);
      return undefined;
    } catch (error) {
      if (error instanceof SojournError && error.code === 'gateway-flows') return error;
      throw error;
    }
  }
}
