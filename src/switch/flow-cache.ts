/**
 * What the tables have decided, by the bits of a flow key that any flow looks at: packets that no flow can tell apart take
 * the same path. Each change of flows, groups, meters or ports starts a new generation, which makes all of it stale.
 */

import { KEY_WORDS, VLAN_BITS, VLAN_PRESENT, WORD } from './fields.ts';
import type { FlowEntry } from './flow.ts';
import type { FlowTable } from './flow-table.ts';
import type { Step } from './steps.ts';
import { activeWords, hashWords } from './subtable.ts';

/** Powers of two. An entry takes up to 132 bytes; there are more of them when they push each other out. */
const LEAST_ENTRIES = 1_024;
const MOST_ENTRIES = 262_144;
/** Paths through several tables that are kept; with more than so many different ones all are forgotten. */
const MAX_PATHS = 262_144;

const NONE: readonly FlowEntry[] = [];

/** The flows that packets take after each other; those with the same beginning share it. */
export class PathNode {
  readonly flow: FlowEntry;
  readonly generation: number;
  /** The path up to here, without this flow. */
  readonly before: readonly FlowEntry[];
  next: Map<FlowEntry, PathNode> | undefined;
  /** What the action set does at the end; undefined until a packet has come so far. */
  final: readonly Step[] | undefined;

  constructor(flow: FlowEntry, generation: number, before: readonly FlowEntry[]) {
    this.flow = flow;
    this.generation = generation;
    this.before = before;
  }
}

export class FlowCache {
  hits = 0;
  misses = 0;
  generation = 1;
  readonly #tables: readonly FlowTable[];
  readonly #mask = new Uint32Array(KEY_WORDS);
  #words = new Uint8Array(0);
  #maskGeneration = 0;
  #keys = new Uint32Array(0);
  #entries = LEAST_ENTRIES;
  #generations = new Uint32Array(LEAST_ENTRIES);
  #paths: (PathNode | undefined)[] = new Array(LEAST_ENTRIES).fill(undefined);
  /** Entries that were still good when another took their place. */
  #evicted = 0;
  #nodes = 0;
  /** Where the last lookup looked; a path that is stored now belongs there. */
  #slot = 0;

  constructor(tables: readonly FlowTable[]) {
    this.#tables = tables;
  }

  invalidate(): void {
    this.generation = (this.generation + 1) >>> 0;
    // After four thousand million changes old entries must not look new.
    if (this.generation === 0) {
      this.#generations.fill(0);
      this.generation = 1;
    }
    this.#nodes = 0;
  }

  lookup(key: Uint32Array): PathNode | undefined {
    if (this.#maskGeneration !== this.generation) this.#refreshMask();
    const mask = this.#mask;
    const words = this.#words;
    const slot = hashWords(key, mask, words) & (this.#entries - 1);
    this.#slot = slot;
    if (this.#generations[slot] === this.generation) {
      const keys = this.#keys;
      const count = words.length;
      const base = slot * count;
      let i = 0;
      while (i < count) {
        const word = words[i] as number;
        if (((key[word] as number) & (mask[word] as number)) >>> 0 !== keys[base + i]) break;
        i++;
      }
      if (i === count) {
        this.hits++;
        return this.#paths[slot];
      }
    }
    this.misses++;
    return undefined;
  }

  /** Reserves the place of the key that was looked up last. @returns what `store` needs. */
  reserve(key: Uint32Array): number {
    if (this.#generations[this.#slot] === this.generation) this.#evict(key);
    const slot = this.#slot;
    const words = this.#words;
    this.#generations[slot] = 0;
    const base = slot * words.length;
    for (let i = 0; i < words.length; i++) {
      const word = words[i] as number;
      this.#keys[base + i] = (key[word] as number) & (this.#mask[word] as number);
    }
    return slot;
  }

  /** Nothing is kept when flows have changed since `reserve`. */
  store(slot: number, path: PathNode): void {
    if (path.generation !== this.generation || this.#maskGeneration !== this.generation) return;
    this.#paths[slot] = path;
    this.#generations[slot] = this.generation;
  }

  /** The node behind `before` for a flow; `before` undefined at the first table. */
  node(before: PathNode | undefined, flow: FlowEntry): PathNode {
    const known = before === undefined ? flow.path : before.next?.get(flow);
    if (known !== undefined && known.generation === this.generation) return known;
    if (++this.#nodes > MAX_PATHS) this.invalidate();
    const node = new PathNode(
      flow,
      this.generation,
      before === undefined ? NONE : [...before.before, before.flow],
    );
    if (before === undefined) flow.path = node;
    else {
      before.next ??= new Map();
      before.next.set(flow, node);
    }
    return node;
  }

  /** Too many of them, and the cache grows; it starts empty then. */
  #evict(key: Uint32Array): void {
    if (++this.#evicted < this.#entries / 2 || this.#entries === MOST_ENTRIES) return;
    this.#evicted = 0;
    this.#entries *= 4;
    this.#generations = new Uint32Array(this.#entries);
    this.#paths = new Array(this.#entries).fill(undefined);
    this.#keys = new Uint32Array(this.#entries * this.#words.length);
    this.#slot = hashWords(key, this.#mask, this.#words) & (this.#entries - 1);
  }

  #refreshMask(): void {
    const mask = this.#mask.fill(0);
    for (const table of this.#tables) table.addMasks(mask);
    // Metadata is zero on arrival (5.1): it tells no packets apart.
    mask.fill(0, WORD.metadata, WORD.metadata + 2);
    // A set-field on a tag depends on there being one.
    const type = mask[WORD.ethType] as number;
    if ((type & VLAN_BITS) !== 0) mask[WORD.ethType] = (type | VLAN_PRESENT) >>> 0;
    this.#words = Uint8Array.from(activeWords(mask));
    this.#evicted = 0;
    const needed = this.#entries * this.#words.length;
    if (this.#keys.length < needed) this.#keys = new Uint32Array(needed);
    this.#maskGeneration = this.generation;
  }
}
