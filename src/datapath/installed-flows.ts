/** Flows of a switch in groups that are replaced as a whole; counters of what was replaced are kept by purpose. */
import type { FlowEntry, FlowSpec, Switch } from '../switch/index.ts';
import { type PURPOSE, purposeOf } from './program/index.ts';

export class InstalledFlows {
  readonly #owner: Switch;
  readonly #groups = new Map<string, { text: string; entries: FlowEntry[] }>();
  readonly #retired = new Map<number, number>();

  constructor(owner: Switch) {
    this.#owner = owner;
  }

  get size(): number {
    let size = 0;
    for (const { entries } of this.#groups.values()) size += entries.length;
    return size;
  }

  /** Replaces the flows of a group, between two packets. Does nothing when they are the same and all still there. */
  replace(group: string, specs: readonly FlowSpec[]): void {
    const text = JSON.stringify(specs, (_key, value) =>
      typeof value === 'bigint' ? value.toString(16) : value,
    );
    const before = this.#groups.get(group);
    if (before?.text === text && before.entries.every(({ installed }) => installed)) return;
    for (const entry of before?.entries ?? []) {
      this.#owner.removeFlow(entry);
      const purpose = purposeOf(entry.cookie);
      this.#retired.set(purpose, (this.#retired.get(purpose) ?? 0) + entry.packets);
    }
    if (specs.length === 0) this.#groups.delete(group);
    else this.#groups.set(group, { text, entries: specs.map((spec) => this.#owner.addFlow(spec)) });
  }

  /** Packets that matched flows of a purpose. */
  packets(purpose: (typeof PURPOSE)[keyof typeof PURPOSE]): number {
    let sum = this.#retired.get(purpose) ?? 0;
    for (const { entries } of this.#groups.values())
      for (const entry of entries) if (purposeOf(entry.cookie) === purpose) sum += entry.packets;
    return sum;
  }
}
