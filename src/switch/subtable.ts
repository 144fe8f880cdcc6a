/**
 * The flows of a table that have the same mask, in a hash table with open addressing. Keys lie side by side, so that a lookup
 * touches few cache lines however many flows there are; flows that differ in priority alone share a place.
 */
import type { FlowEntry } from './flow.ts';

const SMALLEST = 8;

/** Murmur-like mixing of the masked words of a key. */
export function hashWords(
  key: Uint32Array,
  mask: Uint32Array,
  words: Uint8Array | readonly number[],
): number {
  let hash = 0x9747b28c | 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    const mixed = Math.imul((key[word] as number) & (mask[word] as number), 0xcc9e2d51);
    hash ^= Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The active words of a key, and their hash. */
export interface Place {
  readonly words: readonly number[];
  readonly hash: number;
}

export function activeWords(mask: Uint32Array): number[] {
  return [...mask.keys()].filter((word) => mask[word] !== 0);
}

export class Subtable {
  readonly mask: Uint32Array;
  /** Indices of the words in which the mask has ones. */
  readonly words: Uint8Array;
  /** The highest priority of its flows. */
  maxPriority = -1;
  size = 0;
  readonly #priorities = new Map<number, number>();
  #hashes = new Uint32Array(SMALLEST);
  #keys: Uint32Array;
  #entries: (FlowEntry | undefined)[] = new Array(SMALLEST).fill(undefined);
  /** Places taken. */
  #keyCount = 0;

  constructor(mask: Uint32Array) {
    this.mask = mask;
    this.words = Uint8Array.from(activeWords(mask));
    this.#keys = new Uint32Array(SMALLEST * this.words.length);
  }

  *[Symbol.iterator](): IterableIterator<FlowEntry> {
    for (const first of this.#entries)
      for (let entry = first; entry !== undefined; entry = entry.lower) yield entry;
  }

  hasPriority(priority: number): boolean {
    return this.#priorities.has(priority);
  }

  /** The active words of a key, and their hash. */
  place(key: Uint32Array): Place {
    const { words, mask } = this;
    // An array of numbers is smaller than a typed array as short as this.
    const masked: number[] = [];
    for (let i = 0; i < words.length; i++) {
      const word = words[i] as number;
      masked.push(((key[word] as number) & (mask[word] as number)) >>> 0);
    }
    return { words: masked, hash: hashWords(key, mask, words) };
  }

  /** The flow of the highest priority that a packet's key matches. */
  lookup(key: Uint32Array): FlowEntry | undefined {
    const { mask, words } = this;
    const hash = hashWords(key, mask, words);
    const hashes = this.#hashes;
    const entries = this.#entries;
    const keys = this.#keys;
    const limit = hashes.length - 1;
    const stride = words.length;
    for (let slot = hash & limit; ; slot = (slot + 1) & limit) {
      const entry = entries[slot];
      if (entry === undefined) return undefined;
      if (hashes[slot] !== hash) continue;
      const base = slot * stride;
      let i = 0;
      while (i < stride) {
        const word = words[i] as number;
        if (((key[word] as number) & (mask[word] as number)) >>> 0 !== keys[base + i]) break;
        i++;
      }
      if (i === stride) return entry;
    }
  }

  /** The flow with exactly this key and priority. */
  find(place: Place, priority: number): FlowEntry | undefined {
    const slot = this.#slotOf(place);
    for (let entry = this.#entries[slot]; entry !== undefined; entry = entry.lower)
      if (entry.priority === priority) return entry;
    return undefined;
  }

  /** All flows with exactly this key, by falling priority. */
  first(place: Place): FlowEntry | undefined {
    return this.#entries[this.#slotOf(place)];
  }

  /** Puts in a flow; none with its key and priority may be there. */
  insert(entry: FlowEntry): void {
    if ((this.#keyCount + 1) * 2 > this.#hashes.length) this.#resize(this.#hashes.length * 2);
    const slot = this.#slotOf(entry);
    const first = this.#entries[slot];
    if (first === undefined) this.#occupy(slot, entry);
    if (first === undefined || first.priority < entry.priority) {
      entry.lower = first;
      this.#entries[slot] = entry;
    } else {
      let above = first;
      while (above.lower !== undefined && above.lower.priority > entry.priority)
        above = above.lower;
      entry.lower = above.lower;
      above.lower = entry;
    }
    this.size++;
    this.#priorities.set(entry.priority, (this.#priorities.get(entry.priority) ?? 0) + 1);
    if (entry.priority > this.maxPriority) this.maxPriority = entry.priority;
  }

  /** @returns whether it was there. */
  remove(entry: FlowEntry): boolean {
    const slot = this.#slotOf(entry);
    const first = this.#entries[slot];
    if (first === entry) {
      if (entry.lower === undefined) this.#vacate(slot);
      else this.#entries[slot] = entry.lower;
    } else {
      let above = first;
      while (above !== undefined && above.lower !== entry) above = above.lower;
      if (above === undefined) return false;
      above.lower = entry.lower;
    }
    entry.lower = undefined;
    this.size--;
    this.#forgetPriority(entry.priority);
    return true;
  }

  #forgetPriority(priority: number): void {
    const left = (this.#priorities.get(priority) as number) - 1;
    if (left > 0) {
      this.#priorities.set(priority, left);
      return;
    }
    this.#priorities.delete(priority);
    if (priority !== this.maxPriority) return;
    this.maxPriority = -1;
    for (const other of this.#priorities.keys())
      if (other > this.maxPriority) this.maxPriority = other;
  }

  /** The slot that has this key, or the empty one where it would be. */
  #slotOf({ words, hash }: Place): number {
    const limit = this.#hashes.length - 1;
    const stride = words.length;
    for (let slot = hash & limit; ; slot = (slot + 1) & limit) {
      if (this.#entries[slot] === undefined) return slot;
      if (this.#hashes[slot] !== hash) continue;
      let i = 0;
      while (i < stride && this.#keys[slot * stride + i] === words[i]) i++;
      if (i === stride) return slot;
    }
  }

  #occupy(slot: number, { words, hash }: FlowEntry): void {
    this.#hashes[slot] = hash;
    this.#keys.set(words, slot * words.length);
    this.#keyCount++;
  }

  /** Empties a slot and moves up what was pushed behind it. */
  #vacate(slot: number): void {
    const limit = this.#hashes.length - 1;
    const stride = this.words.length;
    let hole = slot;
    this.#entries[hole] = undefined;
    this.#keyCount--;
    for (let next = (hole + 1) & limit; ; next = (next + 1) & limit) {
      const entry = this.#entries[next];
      if (entry === undefined) return;
      const home = (this.#hashes[next] as number) & limit;
      // Only if its home is not behind the hole, cyclically.
      if (((next - home) & limit) < ((next - hole) & limit)) continue;
      this.#entries[hole] = entry;
      this.#hashes[hole] = this.#hashes[next] as number;
      this.#keys.copyWithin(hole * stride, next * stride, (next + 1) * stride);
      this.#entries[next] = undefined;
      hole = next;
    }
  }

  #resize(capacity: number): void {
    const before = this.#entries;
    this.#hashes = new Uint32Array(capacity);
    this.#keys = new Uint32Array(capacity * this.words.length);
    this.#entries = new Array(capacity).fill(undefined);
    this.#keyCount = 0;
    for (const first of before) {
      if (first === undefined) continue;
      const slot = this.#slotOf(first);
      this.#occupy(slot, first);
      this.#entries[slot] = first;
    }
  }
}
