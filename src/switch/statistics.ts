/** Answers to multipart requests (OpenFlow 1.3.5, 7.3.5). */
import {
  GROUP_CAPABILITY,
  type GroupStats,
  METER,
  type MultipartReplyBody,
  type MultipartRequestBody,
  openFlowError,
  PORT,
  QUEUE_ALL,
  type SwitchDescription,
} from '../openflow/index.ts';
import type { FlowEntry } from './flow.ts';
import { type FlowChanges, flowActions, flowCounters } from './flow-changes.ts';
import { MAX_GROUPS } from './groups.ts';
import { MAX_BANDS, MAX_METERS, METER_FLAGS } from './meters.ts';
import type { Switch } from './pipeline.ts';
import type { PortEntry } from './ports.ts';
import { ACTION_NUMBERS, tableFeatures } from './table-features.ts';
import { durationOf } from './time.ts';

const GROUP_TYPES = 4;
/** Drop and DSCP remark. */
const BAND_TYPES = (1 << 1) | (1 << 2);
const ACTION_BITS = Object.values<number>(ACTION_NUMBERS).reduce(
  (bits, number) => bits | (1 << number),
  0,
);

export interface StatisticsParts {
  readonly owner: Switch;
  readonly flows: FlowChanges;
  readonly description: SwitchDescription;
}

/** @throws OpenFlowError for what there is not. */
export function answer(request: MultipartRequestBody, parts: StatisticsParts): MultipartReplyBody {
  const { owner, flows } = parts;
  const { now } = owner;
  switch (request.kind) {
    case 'desc':
      return { kind: 'desc', ...parts.description };
    case 'flow':
      return { kind: 'flow', flows: flows.select(request).map((flow) => flowStats(flow, now)) };
    case 'aggregate':
      return aggregate(flows.select(request));
    case 'table':
      return { kind: 'table', tables: owner.tables.map(tableStats) };
    case 'port-stats':
      return {
        kind: 'port-stats',
        ports: portsOf(owner, request.port).map((entry) => entry.statistics(now)),
      };
    case 'port-desc':
      return { kind: 'port-desc', ports: [...owner.ports.values()].map((p) => p.describe()) };
    case 'queue':
      checkQueue(owner, request.port, request.queue);
      return { kind: 'queue', queues: [] };
    case 'group':
      return { kind: 'group', groups: groupStats(owner, request.group, now) };
    case 'group-desc':
      return { kind: 'group-desc', groups: owner.groups.describe() };
    case 'group-features':
      return groupFeatures();
    case 'meter':
      checkMeter(owner, request.meter);
      return { kind: 'meter', meters: owner.meters.statistics(request.meter, usersOf(owner), now) };
    case 'meter-config':
      checkMeter(owner, request.meter);
      return { kind: 'meter-config', meters: owner.meters.configurations(request.meter) };
    case 'meter-features':
      return {
        kind: 'meter-features',
        maxMeters: MAX_METERS,
        bandTypes: BAND_TYPES,
        capabilities: METER_FLAGS,
        maxBands: MAX_BANDS,
        maxColors: 0,
      };
    case 'table-features':
      if (request.tables.length > 0)
        throw openFlowError('table-features-failed', 'eperm', 'tables stay as they are');
      return { kind: 'table-features', tables: tableFeatures() };
    case 'experimenter':
      throw openFlowError('bad-request', 'bad-experimenter', 'an experimenter request');
  }
}

function flowStats(flow: FlowEntry, now: number) {
  const { table, priority, idleTimeout, hardTimeout, flags, cookie, match, instructions } = flow;
  return {
    table,
    priority,
    idleTimeout,
    hardTimeout,
    flags,
    cookie,
    match,
    instructions,
    ...durationOf(now - flow.createdAt),
    ...flowCounters(flow),
  };
}

function aggregate(flows: readonly FlowEntry[]): MultipartReplyBody {
  const sum = (count: (flow: FlowEntry) => number) =>
    BigInt(flows.reduce((before, flow) => before + count(flow), 0));
  return {
    kind: 'aggregate',
    packets: sum(({ packets }) => packets),
    bytes: sum(({ bytes }) => bytes),
    flows: flows.length,
  };
}

function tableStats(table: Switch['tables'][number], index: number) {
  const { matched } = table;
  return {
    table: index,
    active: table.size,
    lookups: BigInt(matched + table.missed),
    matched: BigInt(matched),
  };
}

/** @throws OpenFlowError OFPBRC_BAD_PORT. */
function portsOf(owner: Switch, port: number): PortEntry[] {
  if (port === PORT.any) return [...owner.ports.values()];
  const entry = owner.ports.get(port);
  if (entry === undefined) throw openFlowError('bad-request', 'bad-port', `port ${port}`);
  return [entry];
}

/** @throws OpenFlowError OFPET_QUEUE_OP_FAILED. */
export function checkQueue(owner: Switch, port: number, queue: number): void {
  if (port !== PORT.any && !owner.ports.has(port))
    throw openFlowError('queue-op-failed', 'bad-port', `port ${port}`);
  if (queue !== QUEUE_ALL) throw openFlowError('queue-op-failed', 'bad-queue', `queue ${queue}`);
}

/** @throws OpenFlowError OFPMMFC_UNKNOWN_METER. */
function checkMeter(owner: Switch, meter: number): void {
  if (meter !== METER.all && owner.meters.get(meter) === undefined)
    throw openFlowError('meter-mod-failed', 'unknown-meter', `meter ${meter}`);
}

function usersOf(owner: Switch): (meter: object) => number {
  const users = new Map<object, number>();
  for (const table of owner.tables)
    for (const { program } of table)
      if (program.meter !== undefined)
        users.set(program.meter, (users.get(program.meter) ?? 0) + 1);
  return (meter) => users.get(meter) ?? 0;
}

function groupStats(owner: Switch, group: number, now: number): GroupStats[] {
  const references = new Map<number, number>();
  const count = (id: number) => references.set(id, (references.get(id) ?? 0) + 1);
  for (const table of owner.tables)
    for (const { instructions } of table)
      for (const action of flowActions(instructions))
        if (action.type === 'group') count(action.group);
  for (const entry of owner.groups.all()) for (const { id } of entry.targets()) count(id);
  return owner.groups.statistics(group, ({ id }) => references.get(id) ?? 0, now);
}

function groupFeatures(): MultipartReplyBody {
  return {
    kind: 'group-features',
    types: (1 << GROUP_TYPES) - 1,
    capabilities: Object.values(GROUP_CAPABILITY).reduce((bits, bit) => bits | bit, 0),
    maxGroups: new Array(GROUP_TYPES).fill(MAX_GROUPS),
    actions: new Array(GROUP_TYPES).fill(ACTION_BITS),
  };
}
