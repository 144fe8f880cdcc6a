/** One flow of a table, installed or not any more. */
import type { Action, Instruction, Match } from '../openflow/index.ts';
import type { PathNode } from './flow-cache.ts';
import type { MeterEntry } from './meters.ts';
import type { Step } from './steps.ts';
import type { Place, Subtable } from './subtable.ts';

export interface FlowSpec {
  readonly table: number;
  readonly priority: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
  readonly cookie?: bigint;
  /** Seconds; 0 or left out for never. */
  readonly idleTimeout?: number;
  readonly hardTimeout?: number;
  /** `FLOW_FLAG` bits. */
  readonly flags?: number;
}

/** Instructions compiled, in the order in which they are executed (5.9). */
export interface FlowProgram {
  readonly instructions: readonly Instruction[];
  readonly meter: MeterEntry | undefined;
  readonly steps: readonly Step[];
  readonly clear: boolean;
  readonly write: readonly Action[] | undefined;
  readonly metadata:
    | { readonly value: readonly number[]; readonly mask: readonly number[] }
    | undefined;
  readonly next: number | undefined;
  /** What comes after cannot be told from the flow key that the packet had when it arrived. */
  readonly reveals: boolean;
  /** Actions of all its instructions. */
  readonly actions: number;
}

const COUNTERS = 3;
const FLOWS_OF_A_BLOCK = 1024;
let block = new Float64Array(0);
let nextInBlock = 0;

/** Three counters side by side, as every packet changes all of them. A block goes with the last of its flows. */
function nextCounters(): [counters: Float64Array, at: number] {
  if (nextInBlock === block.length) {
    block = new Float64Array(COUNTERS * FLOWS_OF_A_BLOCK);
    nextInBlock = 0;
  }
  const at = nextInBlock;
  nextInBlock += COUNTERS;
  return [block, at];
}

export class FlowEntry implements FlowSpec {
  readonly table: number;
  readonly priority: number;
  readonly match: Match;
  readonly cookie: bigint;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly flags: number;
  readonly subtable: Subtable;
  /** The words of the key in which its table's mask has ones. */
  readonly words: readonly number[];
  readonly hash: number;
  program: FlowProgram;
  /** False once it was removed, or replaced by another with the same match and priority. */
  installed = true;
  /** Monotonic milliseconds. */
  readonly createdAt: number;
  /** Where its counters are, with those of other flows: packets, bytes, and when the last one came. */
  readonly #counters: Float64Array;
  readonly #at: number;
  /** The next flow with the same match, of a lower priority. */
  lower: FlowEntry | undefined;
  /** Of a flow of the first table: where its packets go, as long as no flow changes. */
  path: PathNode | undefined;

  constructor(spec: FlowSpec, subtable: Subtable, place: Place, program: FlowProgram, now: number) {
    this.table = spec.table;
    this.priority = spec.priority;
    this.match = spec.match;
    this.cookie = spec.cookie ?? 0n;
    this.idleTimeout = spec.idleTimeout ?? 0;
    this.hardTimeout = spec.hardTimeout ?? 0;
    this.flags = spec.flags ?? 0;
    this.subtable = subtable;
    this.words = place.words;
    this.hash = place.hash;
    this.program = program;
    this.createdAt = now;
    [this.#counters, this.#at] = nextCounters();
    this.#counters[this.#at + 2] = now;
  }

  /** Roughly what it takes of memory, in parts of some 150 bytes: itself, its match fields and its actions. */
  get units(): number {
    return 1 + Object.keys(this.match).length + this.program.actions;
  }

  get instructions(): readonly Instruction[] {
    return this.program.instructions;
  }

  get packets(): number {
    return this.#counters[this.#at] as number;
  }

  get bytes(): number {
    return this.#counters[this.#at + 1] as number;
  }

  /** Monotonic milliseconds. */
  get usedAt(): number {
    return this.#counters[this.#at + 2] as number;
  }

  count(bytes: number, now: number): void {
    const counters = this.#counters;
    const at = this.#at;
    counters[at] = (counters[at] as number) + 1;
    counters[at + 1] = (counters[at + 1] as number) + bytes;
    counters[at + 2] = now;
  }

  setCounters(packets: number, bytes: number): void {
    this.#counters[this.#at] = packets;
    this.#counters[this.#at + 1] = bytes;
  }

  /** Whether it is what packets meet that match no other flow (5.4). */
  get isTableMiss(): boolean {
    return this.priority === 0 && this.words.length === 0;
  }

  /** Monotonic milliseconds at which it times out; undefined for never. */
  get deadline(): number | undefined {
    const hard = this.hardTimeout > 0 ? this.createdAt + this.hardTimeout * 1000 : undefined;
    const idle = this.idleTimeout > 0 ? this.usedAt + this.idleTimeout * 1000 : undefined;
    if (hard === undefined || idle === undefined) return hard ?? idle;
    return Math.min(hard, idle);
  }
}
