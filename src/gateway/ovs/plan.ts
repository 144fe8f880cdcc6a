/**
 * From what the database has to what it shall have: the operations of one transaction, none when all is as it must be. Pure.
 * Tables as in ovs-vswitchd.conf.db(5). What others put on the bridge stays: ports are ours by a mark of their own.
 */
import {
  elements,
  mapOf,
  type Operation,
  type Row,
  references,
  setOf,
  toMap,
  type Uuid,
} from './messages.ts';
import type { BridgePort, BridgeSettings } from './settings.ts';

export interface DatabaseRows {
  readonly bridges: readonly Row[];
  readonly ports: readonly Row[];
  readonly interfaces: readonly Row[];
  readonly controllers: readonly Row[];
}

const MARK = { sojourn: 'gateway' } as const;
/** Packets to the controller per second and at once, above which the switch drops them. */
const PACKET_IN_LIMIT = { controller_rate_limit: 1000, controller_burst_limit: 1000 } as const;
/** A controller that was away is tried again after so long at most, ms. */
const MAX_BACKOFF_MS = 1000;

export function planBridge(rows: DatabaseRows, settings: BridgeSettings): Operation[] {
  const bridge = rows.bridges.find(({ name }) => name === settings.name);
  const operations = bridge === undefined ? create(settings) : change(rows, bridge, settings);
  if (operations.length === 0) return [];
  // ovs-vswitchd says in cur_cfg which of these it has carried out.
  const counted = { table: 'Open_vSwitch', where: [], mutations: [['next_cfg', '+=', 1]] };
  return [...operations, { op: 'mutate', ...counted }];
}

/** Removes the bridge; its ports and the rest go with it, as nothing refers to them. */
export function planRemoval(rows: DatabaseRows, name: string): Operation[] {
  const bridge = rows.bridges.find((row) => row.name === name);
  if (bridge === undefined || !isOurs(bridge)) return [];
  const mutations = [
    ['bridges', 'delete', setOf([uuidOf(bridge)])],
    ['next_cfg', '+=', 1],
  ];
  return [{ op: 'mutate', table: 'Open_vSwitch', where: [], mutations }];
}

function create(settings: BridgeSettings): Operation[] {
  const local = { name: settings.name, number: undefined, type: 'internal' };
  const all = [local, ...settings.ports.map((port) => ({ ...port, type: '' }))];
  const controllers = settings.controllers.map(insertController);
  const row = {
    name: settings.name,
    ...bridgeColumns(settings, undefined),
    ports: setOf(all.map((_, index) => named(`port${index}`))),
    controller: setOf(controllers.map((_, index) => named(`controller${index}`))),
  };
  return [
    ...all.flatMap((port, index) => insertPort(port, index)),
    ...controllers,
    { op: 'insert', table: 'Bridge', row, 'uuid-name': 'bridge' },
    {
      op: 'mutate',
      table: 'Open_vSwitch',
      where: [],
      mutations: [['bridges', 'insert', setOf([named('bridge')])]],
    },
  ];
}

function change(rows: DatabaseRows, bridge: Row, settings: BridgeSettings): Operation[] {
  const here = [['_uuid', '==', uuidOf(bridge)]];
  const operations: Operation[] = [];
  const wanted = bridgeColumns(settings, bridge);
  if (Object.entries(wanted).some(([column, value]) => !same(bridge[column], value)))
    operations.push({ op: 'update', table: 'Bridge', where: here, row: wanted });
  operations.push(...changePorts(rows, bridge, settings.ports));
  const present = new Set(references(bridge.controller));
  const controllers = rows.controllers.filter((row) => present.has(uuidOf(row)[1]));
  const asWanted =
    controllers.length === settings.controllers.length &&
    settings.controllers.every((target) =>
      controllers.some((row) =>
        Object.entries(controllerColumns(target)).every(([key, value]) => same(row[key], value)),
      ),
    );
  if (asWanted) return operations;
  const inserts = settings.controllers.map(insertController);
  const refer = { controller: setOf(inserts.map((_, index) => named(`controller${index}`))) };
  return [...operations, ...inserts, { op: 'update', table: 'Bridge', where: here, row: refer }];
}

function changePorts(rows: DatabaseRows, bridge: Row, wanted: readonly BridgePort[]): Operation[] {
  const here = [['_uuid', '==', uuidOf(bridge)]];
  const present = new Set(references(bridge.ports));
  const ports = rows.ports.filter((row) => present.has(uuidOf(row)[1]));
  const operations: Operation[] = [];
  const gone = ports.filter(
    (row) =>
      isOurs(row) && !wanted.some(({ name }) => name === row.name) && row.name !== bridge.name,
  );
  if (gone.length > 0)
    operations.push({
      op: 'mutate',
      table: 'Bridge',
      where: here,
      mutations: [['ports', 'delete', setOf(gone.map(uuidOf))]],
    });
  for (const [index, port] of wanted.entries()) {
    const found = ports.find((row) => row.name === port.name);
    if (found === undefined) {
      operations.push(...insertPort({ ...port, type: '' }, index), {
        op: 'mutate',
        table: 'Bridge',
        where: here,
        mutations: [['ports', 'insert', setOf([named(`port${index}`)])]],
      });
      continue;
    }
    const [interfaceUuid] = references(found.interfaces);
    const device = rows.interfaces.find((row) => uuidOf(row)[1] === interfaceUuid);
    if (device === undefined || same(device.ofport_request, port.number)) continue;
    operations.push({
      op: 'update',
      table: 'Interface',
      where: [['_uuid', '==', uuidOf(device)]],
      row: { ofport_request: port.number },
    });
  }
  return operations;
}

function bridgeColumns(settings: BridgeSettings, before: Row | undefined) {
  return {
    datapath_type: settings.datapathType,
    fail_mode: settings.failMode,
    protocols: setOf(['OpenFlow13']),
    // In-band control would make room for controllers in the flows, above ours.
    other_config: toMap({
      ...mapOf(before?.other_config),
      'datapath-id': settings.datapathId,
      'disable-in-band': 'true',
    }),
    external_ids: toMap({ ...mapOf(before?.external_ids), ...MARK }),
  };
}

function insertPort(
  port: { name: string; number: number | undefined; type: string },
  index: number,
): Operation[] {
  const device = {
    name: port.name,
    type: port.type,
    ...(port.number !== undefined && { ofport_request: port.number }),
  };
  const row = {
    name: port.name,
    interfaces: setOf([named(`interface${index}`)]),
    external_ids: toMap(MARK),
  };
  return [
    { op: 'insert', table: 'Interface', row: device, 'uuid-name': `interface${index}` },
    { op: 'insert', table: 'Port', row, 'uuid-name': `port${index}` },
  ];
}

function controllerColumns(target: string) {
  return {
    target,
    connection_mode: 'out-of-band',
    max_backoff: MAX_BACKOFF_MS,
    ...PACKET_IN_LIMIT,
  };
}

function insertController(target: string, index: number): Operation {
  const row = controllerColumns(target);
  return { op: 'insert', table: 'Controller', row, 'uuid-name': `controller${index}` };
}

function named(name: string): Uuid {
  return ['named-uuid', name];
}

function uuidOf(row: Row): Uuid {
  return row._uuid as unknown as Uuid;
}

function isOurs(row: Row): boolean {
  return mapOf(row.external_ids).sojourn === MARK.sojourn;
}

/** Sets of one element are written without being called sets (5.1); the order of maps and sets says nothing. */
function same(value: unknown, wanted: unknown): boolean {
  return canonical(value) === canonical(wanted);
}

function canonical(value: unknown): string {
  if (Array.isArray(value) && value[0] === 'map') {
    const entries = value[1] as [string, string][];
    return JSON.stringify([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return JSON.stringify(elements(value as never).sort());
}
