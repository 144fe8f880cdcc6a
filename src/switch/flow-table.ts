/**
 * One flow table (OpenFlow 1.3.5, 5.2 to 5.5) as a tuple-space classifier: flows with the same mask share a
 * hash table, so the cost of a lookup grows with the number of distinct masks and not of flows
 * (Srinivasan, Suri, Varghese, SIGCOMM 1999). Masks are tried by falling priority of their best flow, and not at all when
 * a better flow was found before.
 */
import { KEY_WORDS } from './fields.ts';
import { FlowEntry, type FlowProgram, type FlowSpec } from './flow.ts';
import { type CompiledMatch, compileMatch } from './match.ts';
import { Subtable } from './subtable.ts';

export class FlowTable {
  #subtables: Subtable[] = [];
  readonly #byMask = new Map<string, Subtable>();
  /** Packets that matched nothing, and those that matched flows that are gone. */
  missed = 0;
  matchedBefore = 0;
  size = 0;
  /** Of all its flows. */
  units = 0;

  *[Symbol.iterator](): IterableIterator<FlowEntry> {
    for (const subtable of this.#subtables) yield* subtable;
  }

  get matched(): number {
    let sum = this.matchedBefore;
    for (const entry of this) sum += entry.packets;
    return sum;
  }

  /**
   * Adds a flow; one with the same match and priority is replaced (6.4, ADD).
   * @throws OpenFlowError OFPET_BAD_MATCH.
   */
  add(spec: FlowSpec, program: FlowProgram = NOTHING, now = 0): FlowEntry {
    const { key, mask } = compileMatch(spec.match);
    const subtable = this.#subtableOf(mask);
    const place = subtable.place(key);
    const replaced = subtable.find(place, spec.priority);
    const entry = new FlowEntry(spec, subtable, place, program, now);
    const { maxPriority } = subtable;
    if (replaced !== undefined) this.#removeFrom(subtable, replaced);
    subtable.insert(entry);
    this.size++;
    this.units += entry.units;
    if (subtable.maxPriority !== maxPriority) this.#order();
    return entry;
  }

  /** The flow that `add` would replace. */
  find({ key, mask }: CompiledMatch, priority: number): FlowEntry | undefined {
    const subtable = this.#byMask.get(mask.join());
    return subtable?.find(subtable.place(key), priority);
  }

  /** A flow goes on counting where the one that it has replaced ended. */
  inherit(entry: FlowEntry, replaced: FlowEntry): void {
    entry.setCounters(replaced.packets, replaced.bytes);
    this.matchedBefore -= replaced.packets;
  }

  /** What a flow of the table does is changed; it stays the same flow. */
  change(entry: FlowEntry, program: FlowProgram): void {
    this.units -= entry.units;
    entry.program = program;
    this.units += entry.units;
  }

  /** Sets the counters of a flow to zero; those of the table go on. */
  reset(entry: FlowEntry): void {
    this.matchedBefore += entry.packets;
    entry.setCounters(0, 0);
  }

  /** Removes exactly this entry. @returns whether it was there. */
  remove(entry: FlowEntry): boolean {
    const { subtable } = entry;
    const { maxPriority } = subtable;
    if (!entry.installed || !this.#removeFrom(subtable, entry)) return false;
    if (subtable.size === 0) {
      this.#byMask.delete(subtable.mask.join());
      this.#subtables = this.#subtables.filter((other) => other !== subtable);
    } else if (subtable.maxPriority !== maxPriority) this.#order();
    return true;
  }

  /** The matching entry of the highest priority (5.3). */
  lookup(key: Uint32Array): FlowEntry | undefined {
    let best: FlowEntry | undefined;
    const subtables = this.#subtables;
    for (let i = 0; i < subtables.length; i++) {
      const subtable = subtables[i] as Subtable;
      if (best !== undefined && best.priority >= subtable.maxPriority) break;
      const entry = subtable.lookup(key);
      if (entry !== undefined && (best === undefined || entry.priority > best.priority))
        best = entry;
    }
    return best;
  }

  /** Flows whose match is the given one or narrower (6.4, non-strict). */
  *within(match: CompiledMatch): IterableIterator<FlowEntry> {
    const wanted = nonZero(match);
    for (const subtable of this.#subtables) {
      const { mask, words } = subtable;
      if (!wanted.every((word) => isSubset(match.mask[word] as number, mask[word] as number)))
        continue;
      if (
        words.length === wanted.length &&
        words.every((word) => mask[word] === match.mask[word])
      ) {
        let entry = subtable.first(subtable.place(match.key));
        for (; entry !== undefined; entry = entry.lower) yield entry;
        continue;
      }
      const indices = wanted.map((word) => words.indexOf(word));
      for (const entry of subtable) if (agrees(entry, match, wanted, indices)) yield entry;
    }
  }

  /** Whether a packet could match both the given match and a flow of this priority (6.4, OFPFF_CHECK_OVERLAP). */
  overlaps(match: CompiledMatch, priority: number): boolean {
    for (const subtable of this.#subtables) {
      if (!subtable.hasPriority(priority)) continue;
      const { mask, words } = subtable;
      const common = [...words.keys()].filter(
        (i) =>
          ((mask[words[i] as number] as number) & (match.mask[words[i] as number] as number)) !== 0,
      );
      for (const entry of subtable) {
        if (entry.priority !== priority) continue;
        const apart = common.some((i) => {
          const word = words[i] as number;
          const both = (mask[word] as number) & (match.mask[word] as number);
          return (((entry.words[i] as number) ^ (match.key[word] as number)) & both) !== 0;
        });
        if (!apart) return true;
      }
    }
    return false;
  }

  /** Adds the bits that any flow of this table looks at to `union`. */
  addMasks(union: Uint32Array): void {
    for (const { mask } of this.#subtables)
      for (let word = 0; word < KEY_WORDS; word++)
        union[word] = (union[word] as number) | (mask[word] as number);
  }

  #removeFrom(subtable: Subtable, entry: FlowEntry): boolean {
    if (!subtable.remove(entry)) return false;
    entry.installed = false;
    this.size--;
    this.units -= entry.units;
    this.matchedBefore += entry.packets;
    return true;
  }

  #subtableOf(mask: Uint32Array): Subtable {
    const maskKey = mask.join();
    const known = this.#byMask.get(maskKey);
    if (known !== undefined) return known;
    const fresh = new Subtable(mask);
    this.#byMask.set(maskKey, fresh);
    this.#subtables.push(fresh);
    return fresh;
  }

  #order(): void {
    this.#subtables.sort((a, b) => b.maxPriority - a.maxPriority);
  }
}

const NOTHING: FlowProgram = {
  instructions: [],
  meter: undefined,
  steps: [],
  clear: false,
  write: undefined,
  metadata: undefined,
  next: undefined,
  reveals: false,
  actions: 0,
};

function nonZero({ mask }: CompiledMatch): number[] {
  return [...mask.keys()].filter((word) => mask[word] !== 0);
}

function isSubset(inner: number, outer: number): boolean {
  return (inner & ~outer) === 0;
}

function agrees(
  entry: FlowEntry,
  { key, mask }: CompiledMatch,
  wanted: readonly number[],
  indices: readonly number[],
): boolean {
  for (let i = 0; i < wanted.length; i++) {
    const word = wanted[i] as number;
    const value = (entry.words[indices[i] as number] as number) & (mask[word] as number);
    if (value >>> 0 !== key[word]) return false;
  }
  return true;
}
