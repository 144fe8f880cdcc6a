/** The ports that are attached to a switch, and who is told when one comes, goes or changes. */
import { PortEntry, type SwitchPort } from './ports.ts';

export type PortChange = 'add' | 'delete' | 'modify';

export class PortTable {
  readonly entries: ReadonlyMap<number, PortEntry>;
  /** Somebody else than the switch itself. */
  onChange: ((reason: PortChange, port: PortEntry) => void) | undefined;
  readonly #entries = new Map<number, PortEntry>();
  /** Those that are not to be received from. */
  readonly #deaf = new Set<number>();
  readonly #invalidate: () => void;

  /** @param invalidate called after every change, before anybody is told. */
  constructor(invalidate: () => void) {
    this.entries = this.#entries;
    this.#invalidate = invalidate;
  }

  attach(port: SwitchPort, now: number): void {
    const entry = new PortEntry(port, now);
    this.#entries.set(port.number, entry);
    this.#changed('add', entry);
  }

  detach(number: number): void {
    const entry = this.#entries.get(number);
    if (entry === undefined) return;
    this.#entries.delete(number);
    this.#changed('delete', entry);
  }

  changed(number: number): void {
    const entry = this.#entries.get(number);
    if (entry !== undefined) this.#changed('modify', entry);
  }

  isLive(number: number): boolean {
    return this.#entries.get(number)?.live ?? false;
  }

  isDeaf(number: number): boolean {
    return this.#deaf.size > 0 && this.#deaf.has(number);
  }

  #changed(reason: PortChange, entry: PortEntry): void {
    this.#deaf.clear();
    for (const [number, { receives }] of this.#entries) if (!receives) this.#deaf.add(number);
    this.#invalidate();
    this.onChange?.(reason, entry);
  }
}
