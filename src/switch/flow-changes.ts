/** Flow-mods (OpenFlow 1.3.5, 6.4 and 7.3.4.1), timeouts (5.5), and what is told of flows that are gone. */
import {
  type Action,
  FLOW_FLAG,
  type FlowMod,
  type FlowRemoved,
  type FlowRemovedReason,
  type FlowSelection,
  GROUP,
  type Instruction,
  openFlowError,
  PORT,
  TABLE,
} from '../openflow/index.ts';
import type { FlowEntry } from './flow.ts';
import type { FlowTable } from './flow-table.ts';
import { compileMatch } from './match.ts';
import { type Switch, TABLE_COUNT } from './pipeline.ts';
import { durationOf } from './time.ts';

/** Flows of all tables together. */
export const MAX_FLOWS = 1 << 18;
/** Their units (`FlowEntry.units`) together: some 300 MiB. */
export const MAX_FLOW_UNITS = 1 << 21;
const ALL_FLAGS = Object.values(FLOW_FLAG).reduce((all, flag) => all | flag, 0);
const NOT_COUNTED = 0xffff_ffff_ffff_ffffn;

export class FlowChanges {
  readonly #owner: Switch;
  readonly #onRemoved: (message: FlowRemoved) => void;
  readonly #timed = new Set<FlowEntry>();
  /** No flow times out before, monotonic milliseconds. */
  #nextDeadline = Number.POSITIVE_INFINITY;

  constructor(owner: Switch, onRemoved: (message: FlowRemoved) => void) {
    this.#owner = owner;
    this.#onRemoved = onRemoved;
  }

  /** @throws OpenFlowError, with nothing changed. */
  apply(mod: FlowMod): void {
    switch (mod.command) {
      case 'add':
        this.#add(mod);
        break;
      case 'modify':
      case 'modify-strict':
        this.#modify(mod);
        break;
      case 'delete':
      case 'delete-strict':
        this.#delete(mod);
        break;
    }
  }

  /** Flows of a selection, non-strict. @throws OpenFlowError OFPET_BAD_MATCH, OFPBRC_BAD_TABLE_ID. */
  select(selection: FlowSelection): FlowEntry[] {
    if (selection.table !== TABLE.all && selection.table >= TABLE_COUNT)
      throw openFlowError('bad-request', 'bad-table-id', `there is no table ${selection.table}`);
    const match = compileMatch(selection.match);
    return this.#tables(selection.table).flatMap((table) =>
      [...table.within(match)].filter((flow) => isSelected(flow, selection)),
    );
  }

  /** Removes all flows of which `unwanted` says so. */
  removeWhere(unwanted: (flow: FlowEntry) => boolean, reason: FlowRemovedReason): void {
    for (const table of this.#owner.tables)
      for (const flow of [...table]) if (unwanted(flow)) this.#remove(flow, reason);
  }

  /** @returns when the next flow may time out; undefined when none does. */
  expire(now: number): number | undefined {
    if (now >= this.#nextDeadline) {
      this.#nextDeadline = Number.POSITIVE_INFINITY;
      for (const flow of this.#timed) {
        const deadline = flow.installed ? flow.deadline : undefined;
        if (deadline === undefined) this.#timed.delete(flow);
        else if (deadline > now) this.#nextDeadline = Math.min(this.#nextDeadline, deadline);
        else {
          const hard = flow.hardTimeout > 0 && now >= flow.createdAt + flow.hardTimeout * 1000;
          this.#remove(flow, hard ? 'hard-timeout' : 'idle-timeout', now);
        }
      }
    }
    return Number.isFinite(this.#nextDeadline) ? this.#nextDeadline : undefined;
  }

  #add(mod: FlowMod): void {
    const owner = this.#owner;
    const table = owner.table(mod.table);
    checkFlags(mod);
    const match = compileMatch(mod.match);
    const program = owner.compile(mod);
    if ((mod.flags & FLOW_FLAG.checkOverlap) !== 0 && table.overlaps(match, mod.priority))
      throw openFlowError('flow-mod-failed', 'overlap', `in table ${mod.table}`);
    const replaced = table.find(match, mod.priority);
    this.#checkRoom(replaced === undefined ? 1 : 0, program.actions);
    const now = owner.now;
    const flow = table.add(mod, program, now);
    if (replaced !== undefined && (mod.flags & FLOW_FLAG.resetCounts) === 0)
      table.inherit(flow, replaced);
    this.#watch(flow);
    owner.invalidate();
  }

  #modify(mod: FlowMod): void {
    const owner = this.#owner;
    const table = owner.table(mod.table);
    checkFlags(mod);
    const meant = this.#meant(mod, table);
    const program = owner.compile(mod);
    this.#checkRoom(0, program.actions * meant.length);
    for (const flow of meant) {
      table.change(flow, program);
      if ((mod.flags & FLOW_FLAG.resetCounts) !== 0) table.reset(flow);
    }
    owner.invalidate();
  }

  #delete(mod: FlowMod): void {
    if (mod.table !== TABLE.all) this.#owner.table(mod.table);
    const gone = this.#tables(mod.table).flatMap((table) => this.#meant(mod, table));
    for (const flow of gone)
      if (refersTo(flow.instructions, mod.outPort, mod.outGroup)) this.#remove(flow, 'delete');
  }

  /** The flows of a table that a modify or delete is for. */
  #meant(mod: FlowMod, table: FlowTable): FlowEntry[] {
    const match = compileMatch(mod.match);
    const hasCookie = ({ cookie }: FlowEntry) =>
      (cookie & mod.cookieMask) === (mod.cookie & mod.cookieMask);
    if (!mod.command.endsWith('-strict')) return [...table.within(match)].filter(hasCookie);
    const flow = table.find(match, mod.priority);
    return flow !== undefined && hasCookie(flow) ? [flow] : [];
  }

  #tables(index: number): readonly FlowTable[] {
    return index === TABLE.all ? this.#owner.tables : [this.#owner.table(index)];
  }

  /** @throws OpenFlowError OFPFMFC_TABLE_FULL. */
  #checkRoom(flows: number, actions: number): void {
    let [size, units] = [flows, actions];
    for (const table of this.#owner.tables) {
      size += table.size;
      units += table.units;
    }
    if (size > MAX_FLOWS || units > MAX_FLOW_UNITS)
      throw openFlowError('flow-mod-failed', 'table-full', `${size} flows of ${units} units`);
  }

  #watch(flow: FlowEntry): void {
    const { deadline } = flow;
    if (deadline === undefined) return;
    this.#timed.add(flow);
    this.#nextDeadline = Math.min(this.#nextDeadline, deadline);
  }

  #remove(flow: FlowEntry, reason: FlowRemovedReason, now = this.#owner.now): void {
    if (!this.#owner.removeFlow(flow)) return;
    this.#timed.delete(flow);
    if ((flow.flags & FLOW_FLAG.sendFlowRemoved) === 0) return;
    this.#onRemoved({
      type: 'flow-removed',
      cookie: flow.cookie,
      priority: flow.priority,
      reason,
      table: flow.table,
      ...durationOf(now - flow.createdAt),
      idleTimeout: flow.idleTimeout,
      hardTimeout: flow.hardTimeout,
      ...flowCounters(flow),
      match: flow.match,
    });
  }
}

/** All ones where the flow asks not to be counted (7.3.4.1). */
export function flowCounters({ flags, packets, bytes }: FlowEntry): {
  packets: bigint;
  bytes: bigint;
} {
  return {
    packets: (flags & FLOW_FLAG.noPacketCounts) !== 0 ? NOT_COUNTED : BigInt(packets),
    bytes: (flags & FLOW_FLAG.noByteCounts) !== 0 ? NOT_COUNTED : BigInt(bytes),
  };
}

/** The actions of a flow, those that are written to the action set, too. */
export function* flowActions(instructions: readonly Instruction[]): IterableIterator<Action> {
  for (const instruction of instructions)
    if (instruction.type === 'apply-actions' || instruction.type === 'write-actions')
      yield* instruction.actions;
}

function isSelected(flow: FlowEntry, { cookie, cookieMask, outPort, outGroup }: FlowSelection) {
  return (
    (flow.cookie & cookieMask) === (cookie & cookieMask) &&
    refersTo(flow.instructions, outPort, outGroup)
  );
}

/** Whether there is an output to the port and one to the group; `any` asks for none. */
function refersTo(instructions: readonly Instruction[], port: number, group: number): boolean {
  if (port === PORT.any && group === GROUP.any) return true;
  let toPort = port === PORT.any;
  let toGroup = group === GROUP.any;
  for (const action of flowActions(instructions)) {
    if (action.type === 'output' && action.port === port) toPort = true;
    if (action.type === 'group' && action.group === group) toGroup = true;
  }
  return toPort && toGroup;
}

function checkFlags({ flags }: FlowMod): void {
  if ((flags & ~ALL_FLAGS) !== 0)
    throw openFlowError('flow-mod-failed', 'bad-flags', `flags 0x${flags.toString(16)}`);
}
