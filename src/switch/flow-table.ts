/**
 * One flow table (OpenFlow 1.3.5, 5.2 to 5.5) as a tuple-space classifier: flows with the same mask share a
 * hash table, so the cost of a lookup grows with the number of distinct masks and not of flows
 * (Srinivasan, Suri, Varghese, SIGCOMM 1999).
 */
import type { Instruction } from './actions.ts';
import { KEY_WORDS } from './fields.ts';
import { type CompiledMatch, compileMatch, type Match } from './match.ts';

export interface FlowSpec {
  readonly table: number;
  readonly priority: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
  readonly cookie?: bigint;
}

export interface FlowEntry extends FlowSpec {
  readonly compiled: CompiledMatch;
  readonly cookie: bigint;
  /** False once it was removed, or replaced by another with the same match and priority. */
  installed: boolean;
  packets: number;
  bytes: number;
}

interface Subtable {
  readonly mask: Uint32Array;
  /** Indices of the words in which the mask has ones. */
  readonly words: readonly number[];
  /** Entries by hash, those of one hash by falling priority. */
  readonly buckets: Map<number, FlowEntry[]>;
  size: number;
  maxPriority: number;
}

export function activeWords(mask: Uint32Array): number[] {
  return [...mask.keys()].filter((word) => mask[word] !== 0);
}

/** FNV-1a over masked words, mixed at the end so that low bits are usable as an index. */
export function hashWords(key: Uint32Array, mask: Uint32Array, words: readonly number[]): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    hash = Math.imul(hash ^ ((key[word] as number) & (mask[word] as number)), 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

function matches(key: Uint32Array, entry: FlowEntry, words: readonly number[]): boolean {
  const { key: wanted, mask } = entry.compiled;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    if (((key[word] as number) & (mask[word] as number)) >>> 0 !== wanted[word]) return false;
  }
  return true;
}

export class FlowTable {
  #subtables: Subtable[] = [];
  readonly #byMask = new Map<string, Subtable>();
  lookups = 0;
  matched = 0;

  get size(): number {
    return this.#subtables.reduce((sum, subtable) => sum + subtable.size, 0);
  }

  *[Symbol.iterator](): IterableIterator<FlowEntry> {
    for (const subtable of this.#subtables)
      for (const bucket of subtable.buckets.values()) yield* bucket;
  }

  /** Adds a flow; one with the same match and priority is replaced and its counters start anew (6.4, ADD). */
  add(spec: FlowSpec): FlowEntry {
    const compiled = compileMatch(spec.match);
    const cookie = spec.cookie ?? 0n;
    const entry: FlowEntry = { ...spec, compiled, cookie, installed: true, packets: 0, bytes: 0 };
    const subtable = this.#subtableOf(compiled.mask);
    const hash = hashWords(compiled.key, compiled.mask, subtable.words);
    const bucket = subtable.buckets.get(hash) ?? [];
    const same = bucket.findIndex(
      (other) => other.priority === entry.priority && matches(compiled.key, other, subtable.words),
    );
    const replaced = bucket[same];
    if (replaced !== undefined) {
      replaced.installed = false;
      bucket[same] = entry;
      return entry;
    }
    bucket.push(entry);
    bucket.sort((a, b) => b.priority - a.priority);
    subtable.buckets.set(hash, bucket);
    subtable.size++;
    if (entry.priority > subtable.maxPriority) {
      subtable.maxPriority = entry.priority;
      this.#order();
    }
    return entry;
  }

  /** Removes exactly this entry. @returns whether it was there. */
  remove(entry: FlowEntry): boolean {
    const maskKey = entry.compiled.mask.join();
    const subtable = this.#byMask.get(maskKey);
    if (subtable === undefined) return false;
    const hash = hashWords(entry.compiled.key, entry.compiled.mask, subtable.words);
    const bucket = subtable.buckets.get(hash);
    const index = bucket?.indexOf(entry) ?? -1;
    if (bucket === undefined || index < 0) return false;
    bucket.splice(index, 1);
    entry.installed = false;
    if (bucket.length === 0) subtable.buckets.delete(hash);
    subtable.size--;
    if (subtable.size === 0) {
      this.#byMask.delete(maskKey);
      this.#subtables = this.#subtables.filter((other) => other !== subtable);
    }
    return true;
  }

  /** The matching entry of the highest priority (5.3). */
  lookup(key: Uint32Array): FlowEntry | undefined {
    this.lookups++;
    let best: FlowEntry | undefined;
    for (const subtable of this.#subtables) {
      if (best !== undefined && best.priority >= subtable.maxPriority) break;
      const bucket = subtable.buckets.get(hashWords(key, subtable.mask, subtable.words));
      if (bucket === undefined) continue;
      for (const entry of bucket) {
        if (best !== undefined && entry.priority <= best.priority) break;
        if (matches(key, entry, subtable.words)) {
          best = entry;
          break;
        }
      }
    }
    if (best !== undefined) this.matched++;
    return best;
  }

  /** Adds the bits that any flow of this table looks at to `union`. */
  addMasks(union: Uint32Array): void {
    for (const { mask } of this.#subtables)
      for (let word = 0; word < KEY_WORDS; word++)
        union[word] = (union[word] as number) | (mask[word] as number);
  }

  #subtableOf(mask: Uint32Array): Subtable {
    const maskKey = mask.join();
    const known = this.#byMask.get(maskKey);
    if (known !== undefined) return known;
    const fresh: Subtable = {
      mask,
      words: activeWords(mask),
      buckets: new Map(),
      size: 0,
      maxPriority: -1,
    };
    this.#byMask.set(maskKey, fresh);
    this.#subtables.push(fresh);
    return fresh;
  }

  #order(): void {
    this.#subtables.sort((a, b) => b.maxPriority - a.maxPriority);
  }
}
