/**
 * A guest goes from one site to the other behind gateways of Open vSwitch at both: the controller follows the agents,
 * and between the sites its packets carry addresses of the site in place of its own.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiSocketPath, type MappingsView } from '../../src/api/index.ts';
import { OpenVSwitchGateway } from '../../src/gateway/index.ts';
import { eui64Address } from '../../src/mobility/index.ts';
import { captureWire, readWire } from '../demo/translation/wire.ts';
import { BRIDGE, HOME_PREFIXES } from '../lab/gateways.ts';
import {
  type GuestSite,
  HOSTS,
  SITE_FACTS,
  SITES,
  type SiteName,
  SitesLab,
  UPLINK,
} from '../lab/sites.ts';
import { AgentPlace, type Side } from './agent-place.ts';
import { ControllerProcess, freePort } from './controller-process.ts';
import { monotonicMs, Witness } from './witness.ts';

const DEMO_IMAGE = fileURLToPath(new URL('../../.cache/demo-guest/current', import.meta.url));
const GUEST = 'wanderer';
const TAP = 'sojourn0';
const [UPLINK_PORT, HOSTS_PORT, GUESTS_PORT] = [1, 2, 3] as const;
const AGENTS = { 'site-a': 'alpha', 'site-b': 'beta' } as const;
const DEADLINE_MS = 60_000;

let lab: SitesLab;
let alpha: AgentPlace;
let beta: AgentPlace;
let laptop: AgentPlace;
let controller: ControllerProcess;
let witness: Witness;
let hoa4: string;
let hoa6: string;
const gateways: OpenVSwitchGateway[] = [];

const controllerSocket = (site: SiteName) =>
  `unix:${join(lab.directory, site, `${BRIDGE}.controller`)}`;

beforeAll(async () => {
  lab = await SitesLab.create();
  const home = ['--hoa4', HOME_PREFIXES[0], '--hoa6', HOME_PREFIXES[1]];
  alpha = site('site-a', home);
  beta = site('site-b', []);
  laptop = agent('site-b', { side: 'device', name: 'laptop', flags: [] });
  for (const place of [alpha, beta, laptop]) {
    await place.start();
    await place.api.call('image.import', { path: DEMO_IMAGE });
  }
  for (const place of [beta, laptop]) {
    const { invite } = await alpha.api.call('place.invite', {});
    await place.api.call('place.pair', { invite });
  }
  await laptop.sojourn('receive', 'always');
  controller = await control();
  for (const site of SITES) gateways.push(await gateway(site));
  await alpha.sojourn('guest', 'create', GUEST, '--image', 'demo', '--memory', '256M');
  await alpha.api.call('guest.start', { guest: GUEST });
  const [guest] = (await registered()).guests;
  if (guest === undefined) throw new Error('the guest is not registered');
  hoa4 = guest.hoa4;
  hoa6 = eui64Address(guest.hoa6Prefix, guest.mac);
  witness = await Witness.start(lab.correspondent, hoa4, DEADLINE_MS);
}, 180_000);

afterAll(async () => {
  await witness?.close();
  for (const each of gateways) each.close();
  await controller?.end();
  for (const place of [alpha, beta, laptop]) place?.close();
  await lab?.close();
});

function site(where: GuestSite, flags: readonly string[]): AgentPlace {
  const listen = ['--listen', '0.0.0.0:7420', '--advertise', SITE_FACTS[where].host4];
  const tap = ['--tap', TAP, '--tap-toward', 'gateway'];
  return agent(where, {
    side: 'site',
    name: AGENTS[where],
    flags: [...listen, ...tap, ...flags],
  });
}

function agent(
  where: GuestSite,
  { name, ...rest }: { side: Side; name: string; flags: readonly string[] },
): AgentPlace {
  const namespace = lab.namespace(where);
  return new AgentPlace({
    lab: { directory: lab.directory, device: namespace, site: namespace },
    ...{ name, ...rest, folder: name },
    logs: process.env.SOJOURN_TEST_LOGS ?? lab.directory,
  });
}

/** What the home site tells controllers. */
async function registered(): Promise<MappingsView> {
  const enough = new AbortController();
  const told = Promise.withResolvers<MappingsView>();
  alpha.api
    .call('mappings.watch', {}, { signal: enough.signal, onItem: told.resolve })
    .catch(told.reject);
  return told.promise.finally(() => enough.abort());
}

async function control(): Promise<ControllerProcess> {
  const network = join(lab.directory, 'gateways.json');
  const of = (site: SiteName) => {
    const { datapathId, mac, nextHop } = SITE_FACTS[site];
    if (site === 'site-c')
      return { id: site, datapathId, uplink: { port: UPLINK_PORT }, hosts: { port: HOSTS_PORT } };
    const { pool4, pool6 } = SITE_FACTS[site];
    const uplink = { port: UPLINK_PORT, mac, nextHop };
    const guests = { place: AGENTS[site], port: GUESTS_PORT };
    return { id: site, datapathId, uplink, guests, pool4, pool6 };
  };
  writeFileSync(network, JSON.stringify({ homePrefixes: HOME_PREFIXES, gateways: SITES.map(of) }));
  const sockets = SITES.flatMap((site) => ['--listen', controllerSocket(site)]);
  const files = ['--gateways', network, '--agent', apiSocketPath(alpha.state)];
  const process = new ControllerProcess(await freePort(), [...sockets, ...files]);
  await process.until((one) => one.said('ready').length === 1);
  return process;
}

async function gateway(site: SiteName): Promise<OpenVSwitchGateway> {
  const inside =
    site === 'site-c' ? { number: HOSTS_PORT, name: HOSTS } : { number: GUESTS_PORT, name: TAP };
  const made = new OpenVSwitchGateway({
    database: lab.openVSwitch(site).database,
    settings: {
      ...{ name: BRIDGE, datapathId: SITE_FACTS[site].datapathId, datapathType: 'netdev' },
      ...{ failMode: 'secure', controllers: [controllerSocket(site)] },
      ports: [{ number: UPLINK_PORT, name: UPLINK }, inside],
    },
  });
  await made.start();
  return made;
}

async function handOff(from: AgentPlace, to: AgentPlace): Promise<void> {
  const startedAt = monotonicMs();
  await from.api.call('handoff.start', { guest: GUEST, to: to.name });
  await witness.next(20, DEADLINE_MS);
  expect(witness.problems).toEqual([]);
  expect(await witness.recordProblem()).toBeUndefined();
  const silence = Math.round(witness.longestSilence(startedAt));
  console.log(`${from.name} -> ${to.name}: longest silence ${silence} ms`);
}

/** Resolves when the controller leads there. */
async function led(place: GuestSite): Promise<void> {
  await controller.until((one) => one.said('moved').at(-1)?.place === place);
}

async function answers(): Promise<void> {
  for (const address of [hoa4, hoa6])
    expect(await lab.correspondent.run(['ping', '-c', '3', '-W', '2', address])).toContain(
      '3 received',
    );
}

test(
  'behind a gateway a guest is reached at its own addresses, by IPv4 and IPv6',
  async () => {
    await witness.next(5, DEADLINE_MS);
    // It has its IPv6 address when nobody else has answered for it.
    await lab.correspondent.run(['ping', '-c', '1', '-w', '10', hoa6]);
    await answers();
  },
  DEADLINE_MS,
);

test('what is too big for a guest is answered with its own MTU', async () => {
  const big = ['ping', '-M', 'do', '-c', '1', '-W', '2', '-s', '1440', hoa4];
  const said = await lab.correspondent.run(['sh', '-c', `${big.join(' ')}; :`]);
  expect(said).toMatch(/mtu ?= ?1380/);
});

test('it goes from site to site and back, connections go on, and its own address is never between the sites', async () => {
  const wire = join(lab.directory, 'wire');
  const endCapture = await captureWire(lab, wire);
  await handOff(alpha, beta);
  await led('site-b');
  // Its home has no part in its traffic any more.
  const home = await alpha.datapathPid();
  process.kill(home, 'SIGSTOP');
  await answers().finally(() => process.kill(home, 'SIGCONT'));
  await handOff(beta, alpha);
  await led('site-a');
  await answers();
  await endCapture();
  const number = Number(hoa4.split('.')[3]);
  const places = Object.fromEntries(
    (['site-a', 'site-b'] as const).map((site) => [
      site,
      { port: GUESTS_PORT, moa4: SITE_FACTS[site].pool4.replace('.0/24', `.${number}`) },
    ]),
  );
  const mapping = { ...{ guest: GUEST, number, mac: '', place: 'site-a', hoa4, hoa6, places } };
  const seen = readWire(wire, { ...mapping, correspondents: [] });
  expect(seen.homePackets).toBe(0);
  expect(seen.mobilePacketsOf['site-a']).toBeGreaterThan(50);
  expect(seen.mobilePacketsOf['site-b']).toBeGreaterThan(50);
}, 180_000);

test('at a device it is reached through the gateway of its home', async () => {
  await handOff(alpha, laptop);
  await answers();
  await handOff(laptop, alpha);
  await answers();
}, 180_000);
