/**
 * Groups (OpenFlow 1.3.5, 5.6 and 6.5): their buckets, which of them is taken, and what may not be done to them.
 */
import {
  type Bucket,
  GROUP,
  type GroupDescription,
  type GroupMod,
  type GroupStats,
  type GroupType,
  openFlowError,
  PORT,
} from '../openflow/index.ts';
import { WORD } from './fields.ts';
import type { Packet } from './packet.ts';
import { compileActions, onlySends, orderedActions, type Step } from './steps.ts';
import { durationOf } from './time.ts';

export const MAX_GROUPS = 16_384;
export const MAX_BUCKETS = 256;
/** Buckets and their actions, of all groups together. */
export const MAX_GROUP_ACTIONS = 1 << 18;
/** Groups that a packet may go through, one behind the other. */
export const MAX_GROUP_CHAIN = 16;

export interface BucketEntry {
  readonly bucket: Bucket;
  readonly steps: readonly Step[];
  /** The packet must be copied before, unless nobody else needs it. */
  readonly changes: boolean;
  packets: number;
  bytes: number;
}

export class GroupEntry {
  readonly id: number;
  type: GroupType;
  buckets: BucketEntry[] = [];
  /** Buckets and their actions. */
  size = 0;
  packets = 0;
  bytes = 0;
  /** Whether one of its buckets is live, as of `livenessVersion`. */
  live = false;
  livenessVersion = 0;
  readonly createdAt: number;

  constructor(id: number, type: GroupType, now: number) {
    this.id = id;
    this.type = type;
    this.createdAt = now;
  }

  /** Other groups that its buckets send to. */
  *targets(): IterableIterator<GroupEntry> {
    for (const { steps } of this.buckets)
      for (const step of steps) if (step.op === 'group') yield step.group;
  }
}

/** Whether a port is up. */
export type Liveness = (port: number) => boolean;

export class Groups {
  readonly #groups = new Map<number, GroupEntry>();
  readonly #isLive: Liveness;
  #version = 1;
  /** Of all groups: `GroupEntry.size`. */
  #actions = 0;

  constructor(isLive: Liveness) {
    this.#isLive = isLive;
  }

  /** The state of a port has changed. */
  portsChanged(): void {
    this.#version++;
  }

  get(id: number): GroupEntry | undefined {
    return this.#groups.get(id);
  }

  all(): IterableIterator<GroupEntry> {
    return this.#groups.values();
  }

  /** @throws OpenFlowError OFPET_GROUP_MOD_FAILED. The actions of the buckets have been checked. */
  add({ group: id, groupType, buckets }: GroupMod, now: number): void {
    if (this.#groups.has(id))
      throw openFlowError('group-mod-failed', 'group-exists', `group ${id}`);
    if (this.#groups.size >= MAX_GROUPS)
      throw openFlowError('group-mod-failed', 'out-of-groups', `${MAX_GROUPS} groups`);
    this.#check(id, groupType, buckets);
    const entry = new GroupEntry(id, groupType, now);
    this.#fill(entry, buckets);
    this.#groups.set(id, entry);
    this.#version++;
  }

  /** Counters start anew; flows that point to the group stay (6.5). @throws OpenFlowError OFPET_GROUP_MOD_FAILED. */
  modify({ group: id, groupType, buckets }: GroupMod): void {
    const entry = this.#groups.get(id);
    if (entry === undefined)
      throw openFlowError('group-mod-failed', 'unknown-group', `group ${id}`);
    this.#check(id, groupType, buckets);
    entry.type = groupType;
    this.#fill(entry, buckets);
    entry.packets = 0;
    entry.bytes = 0;
    this.#version++;
  }

  /**
   * @param id `GROUP.all` for all.
   * @returns those that were there; flows that point to them have to go (6.5).
   * @throws OpenFlowError OFPGMFC_CHAINED_GROUP when another group points to it.
   */
  remove(id: number): ReadonlySet<GroupEntry> {
    this.#version++;
    if (id === GROUP.all) {
      const all = new Set(this.#groups.values());
      this.#groups.clear();
      this.#actions = 0;
      return all;
    }
    const entry = this.#groups.get(id);
    if (entry === undefined) return new Set();
    for (const other of this.#groups.values()) {
      if (other === entry) continue;
      for (const target of other.targets())
        if (target === entry)
          throw openFlowError(
            'group-mod-failed',
            'chained-group',
            `group ${other.id} points to group ${id}`,
          );
    }
    this.#groups.delete(id);
    this.#actions -= entry.size;
    return new Set([entry]);
  }

  /** The one bucket of a group that is not `all`; undefined when none is live. */
  choose(group: GroupEntry, packet: Packet): BucketEntry | undefined {
    switch (group.type) {
      case 'select':
        return this.#select(group, packet);
      case 'fast-failover':
        return group.buckets.find(({ bucket }) => this.#bucketLives(bucket));
      default:
        return group.buckets[0];
    }
  }

  /** By weight among the live buckets; all packets of one connection take the same. */
  #select(group: GroupEntry, packet: Packet): BucketEntry | undefined {
    const { buckets } = group;
    let total = 0;
    for (let i = 0; i < buckets.length; i++) {
      const { bucket } = buckets[i] as BucketEntry;
      if (this.#bucketLives(bucket)) total += bucket.weight;
    }
    if (total === 0) return undefined;
    let point = (connectionHash(packet.key) / 0x1_0000_0000) * total;
    for (let i = 0; i < buckets.length; i++) {
      const entry = buckets[i] as BucketEntry;
      if (!this.#bucketLives(entry.bucket)) continue;
      point -= entry.bucket.weight;
      if (point < 0) return entry;
    }
    return undefined;
  }

  #bucketLives({ watchPort, watchGroup }: Bucket): boolean {
    if (watchPort === PORT.any && watchGroup === GROUP.any) return true;
    if (watchPort !== PORT.any && this.#isLive(watchPort)) return true;
    return watchGroup !== GROUP.any && this.#groupLives(watchGroup);
  }

  #groupLives(id: number): boolean {
    const group = this.#groups.get(id);
    if (group === undefined) return false;
    if (group.livenessVersion !== this.#version) {
      // Groups that watch each other are not alive by that.
      group.livenessVersion = this.#version;
      group.live = false;
      group.live = group.buckets.some(({ bucket }) => this.#bucketLives(bucket));
    }
    return group.live;
  }

  #fill(entry: GroupEntry, buckets: readonly Bucket[]): void {
    const size = sizeOf(buckets);
    this.#actions += size - entry.size;
    entry.size = size;
    entry.buckets = buckets.map((bucket) => {
      const steps = compileActions(orderedActions(bucket.actions), (id) => this.get(id));
      return { bucket, steps, changes: !onlySends(steps), packets: 0, bytes: 0 };
    });
  }

  #check(id: number, type: GroupType, buckets: readonly Bucket[]): void {
    if (id > GROUP.max)
      throw openFlowError('group-mod-failed', 'invalid-group', `group ${id} is reserved`);
    if (buckets.length > MAX_BUCKETS)
      throw openFlowError('group-mod-failed', 'out-of-buckets', `${buckets.length} buckets`);
    if (type === 'indirect' && buckets.length !== 1)
      throw openFlowError('group-mod-failed', 'invalid-group', 'an indirect group has one bucket');
    for (const { watchPort, watchGroup } of buckets) {
      const watches = watchPort !== PORT.any || watchGroup !== GROUP.any;
      if (type === 'fast-failover' && !watches)
        throw openFlowError('group-mod-failed', 'bad-watch', 'a bucket that watches nothing');
      if (watchGroup !== GROUP.any && !this.#groups.has(watchGroup))
        throw openFlowError('group-mod-failed', 'bad-watch', `there is no group ${watchGroup}`);
    }
    const actions = this.#actions - (this.#groups.get(id)?.size ?? 0) + sizeOf(buckets);
    if (actions > MAX_GROUP_ACTIONS)
      throw openFlowError('group-mod-failed', 'out-of-buckets', `${actions} actions`);
    this.#checkChain(id, buckets);
  }

  /** @throws OpenFlowError OFPGMFC_LOOP, OFPGMFC_CHAINING_UNSUPPORTED when the chain is too long. */
  #checkChain(id: number, buckets: readonly Bucket[]): void {
    if (buckets.some(({ actions }) => actions.some((a) => a.type === 'group' && a.group === id)))
      throw openFlowError('group-mod-failed', 'loop', `group ${id} leads to itself`);
    const deepest = new Map<GroupEntry, number>();
    const walk = (targets: Iterable<GroupEntry>, depth: number): void => {
      for (const target of targets) {
        if (target.id === id)
          throw openFlowError('group-mod-failed', 'loop', `group ${id} leads to itself`);
        if (depth >= MAX_GROUP_CHAIN)
          throw openFlowError('group-mod-failed', 'chaining-unsupported', 'too many in a chain');
        if ((deepest.get(target) ?? 0) >= depth) continue;
        deepest.set(target, depth);
        walk(target.targets(), depth + 1);
      }
    };
    walk(
      targetsOf(buckets, (group) => this.get(group)),
      1,
    );
  }

  describe(): GroupDescription[] {
    return [...this.#groups.values()].map(({ id, type, buckets }) => ({
      group: id,
      groupType: type,
      buckets: buckets.map(({ bucket }) => bucket),
    }));
  }

  /** @param references flows and groups that point to it. */
  statistics(id: number, references: (group: GroupEntry) => number, now: number): GroupStats[] {
    const groups = id === GROUP.all ? [...this.#groups.values()] : [this.#groups.get(id)];
    return groups
      .filter((entry) => entry !== undefined)
      .map((entry) => ({
        group: entry.id,
        references: references(entry),
        packets: BigInt(entry.packets),
        bytes: BigInt(entry.bytes),
        ...durationOf(now - entry.createdAt),
        buckets: entry.buckets.map(({ packets, bytes }) => ({
          packets: BigInt(packets),
          bytes: BigInt(bytes),
        })),
      }));
  }
}

/** Buckets and their actions. */
function sizeOf(buckets: readonly Bucket[]): number {
  return buckets.reduce((sum, { actions }) => sum + 1 + actions.length, 0);
}

function* targetsOf(
  buckets: readonly Bucket[],
  groupOf: (id: number) => GroupEntry | undefined,
): IterableIterator<GroupEntry> {
  for (const { actions } of buckets)
    for (const action of actions) {
      const target = action.type === 'group' ? groupOf(action.group) : undefined;
      if (target !== undefined) yield target;
    }
}

/** Over addresses, protocol and ports. */
function connectionHash(key: Uint32Array): number {
  let hash = 0x811c9dc5 | 0;
  const mix = (word: number) => {
    hash = Math.imul(hash ^ (key[word] as number), 0x01000193);
    hash ^= hash >>> 15;
  };
  for (let word = WORD.ethDst; word <= WORD.ethType; word++) mix(word);
  for (let word = WORD.source; word <= WORD.l4; word++) mix(word);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
