/** `sojourn controller` follows the agents: a guest that they move is led to where it is, by switches that were ready for it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiSocketPath } from '../../src/api/index.ts';
import { GROUP, type OpenFlowConnection, PORT, TABLE } from '../../src/openflow/index.ts';
import { ipToBigInt } from '../../src/switch/index.ts';
import { ADDRESSES } from '../lab/index.ts';
import { embedded, type Fleet, speak } from '../mobility/controller/fleet.ts';
import { ControllerProcess, freePort } from './controller-process.ts';
import { connected } from './local-network.ts';
import { GUEST, TwoPlaces } from './two-places.ts';

const UPLINK = 1;
const GUESTS = 3;
const DEADLINE_MS = 30_000;
const SIDES = { laptop: '10.1.0', cloud: '10.2.0' } as const;
const router = { port: UPLINK, mac: '02:00:00:00:00:01', nextHop: '02:00:00:00:00:ff' };
const gateways = [
  ...Object.entries(SIDES).map(([place, net], index) => ({
    ...{ id: `at-${place}`, datapathId: `00000000000000a${index + 1}`, uplink: router },
    ...{ guests: { place, port: GUESTS }, pool4: `${net}.0/24`, pool6: `2001:db8:a${index}::/64` },
  })),
  {
    ...{ id: 'office', datapathId: '00000000000000a9' },
    ...{ uplink: { port: UPLINK }, hosts: { port: 2 } },
  },
];

let places: TwoPlaces;
let fleet: Fleet;
let directory: string;
let controller: ControllerProcess;
let hoa4: string;
const tools = new Map<string, OpenFlowConnection>();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sojourn-follow-'));
  const homePrefixes = [ADDRESSES.hoaPrefix4, ADDRESSES.hoaPrefix6];
  const network = join(directory, 'gateways.json');
  await writeFile(network, JSON.stringify({ homePrefixes, gateways }));
  places = await TwoPlaces.create();
  hoa4 = (await places.device.guest(GUEST))?.network.hoa4 ?? '';
  const port = await freePort();
  const agent = apiSocketPath(places.site.state);
  controller = new ControllerProcess(port, ['--gateways', network, '--agent', agent]);
  const ports = [UPLINK, 2, GUESTS];
  fleet = await embedded(
    gateways.map(({ id, datapathId }) => ({ id, datapathId, ports })),
    port,
  );
  await controller.until(({ repairs }) => repairs.length >= gateways.length);
  for (const { id } of gateways) tools.set(id, await speak(await fleet.open(id)));
});

afterAll(async () => {
  for (const tool of tools.values()) tool.close();
  await controller?.end();
  await fleet?.close();
  await places?.close();
  await rm(directory, { recursive: true, force: true });
});

async function flowsAt(id: string) {
  const request = { outPort: PORT.any, outGroup: GROUP.any, cookie: 0n, cookieMask: 0n };
  const all = { kind: 'flow', table: TABLE.all, match: {}, ...request } as const;
  return (await tools.get(id)?.multipart(all))?.flows ?? [];
}

/** Where the office sends what is for the guest: the address that stands for it there. */
async function leadsTo(): Promise<string> {
  const flow = (await flowsAt('office')).find(({ match }) => match.ipv4_dst === ipToBigInt(hoa4));
  const actions = flow?.instructions.flatMap((one) => ('actions' in one ? one.actions : [])) ?? [];
  for (const action of actions)
    if (action.type === 'set-field' && action.field === 'ipv4_dst')
      return dotted(action.value as bigint);
  return 'nowhere';
}

/** Whether the guest may send from its port there. */
async function isReadyAt(place: keyof typeof SIDES): Promise<boolean> {
  const flows = await flowsAt(`at-${place}`);
  return flows.some(
    ({ match }) => match.in_port === BigInt(GUESTS) && match.ipv4_src === ipToBigInt(hoa4),
  );
}

const dotted = (value: bigint) =>
  [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
const standsFor = (place: keyof typeof SIDES) => `${SIDES[place]}.${hoa4.split('.')[3]}`;
const eventually = (what: () => Promise<unknown>) =>
  expect.poll(what, { timeout: DEADLINE_MS, interval: 50 });

test('a guest is led to where its agent says that it runs', async () => {
  expect(await leadsTo()).toBe(standsFor('laptop'));
  expect(await isReadyAt('laptop')).toBe(true);
  expect(await isReadyAt('cloud')).toBe(false);
});

test('switches are ready where it stands by, and lead there when it has moved', async () => {
  await places.arm('device');
  await eventually(() => isReadyAt('cloud')).toBe(true);
  expect(await leadsTo()).toBe(standsFor('laptop'));
  expect(controller.said('moved')).toEqual([]);
  await places.move('device');
  await controller.until((one) => one.said('moved').length === 1);
  expect(controller.said('moved')).toMatchObject([{ guest: GUEST, place: 'at-cloud' }]);
  expect(await leadsTo()).toBe(standsFor('cloud'));
}, 120_000);

test('a handoff prepares the way back, too, after the agent was killed and started again', async () => {
  await places.disarm('site');
  await places.site.kill();
  await controller.until((one) => one.lines.some(({ code }) => code === 'agent-not-running'));
  expect(await leadsTo()).toBe(standsFor('cloud'));
  await places.site.start();
  await controller.until((one) => one.said('agent is back').length === 1);
  expect(await leadsTo()).toBe(standsFor('cloud'));
  // For a while the place that it left sends on what comes late.
  await eventually(() => isReadyAt('laptop')).toBe(false);
  await connected(places.site, 'laptop');
  const handoff = places.handOff('site');
  await eventually(async () => (await isReadyAt('laptop')) && (await leadsTo())).toBe(
    standsFor('cloud'),
  );
  expect(await handoff.outcome).toMatchObject({ kind: 'handed-over' });
  await controller.until((one) => one.said('moved').length === 2);
  expect(await leadsTo()).toBe(standsFor('laptop'));
}, 120_000);

test('a guest that stays after all leaves the switches as they were', async () => {
  await eventually(() => isReadyAt('cloud')).toBe(false);
  await places.arm('device', 'no wait');
  await eventually(() => isReadyAt('cloud')).toBe(true);
  await places.disarm('device');
  await eventually(() => isReadyAt('cloud')).toBe(false);
  expect(await leadsTo()).toBe(standsFor('laptop'));
}, 120_000);
