/** Gateways on Open vSwitch at the three sites, the controller that drives them, and the mappings of guests that move between. */
import { join } from 'node:path';
import { GatewayPackets, OpenVSwitchGateway } from '../../src/gateway/index.ts';
import { Controller, type ControllerEvent } from '../../src/mobility/controller/index.ts';
import { type Mapping, mappingSchema, networkSchema } from '../../src/mobility/flows/index.ts';
import { eui64Address } from '../../src/mobility/index.ts';
import { parseListen } from '../../src/switch/agent/index.ts';
import {
  GUEST_SITES,
  type GuestSite,
  HOSTS,
  SITE_FACTS,
  SITES,
  type SiteName,
  type SitesLab,
  UPLINK,
} from './sites.ts';

export const HOME_PREFIXES = ['192.0.2.0/24', '2001:db8:7700::/48'] as const;
export const BRIDGE = 'gateway';
const [UPLINK_PORT, HOSTS_PORT, FIRST_GUEST_PORT] = [1, 2, 10] as const;
const READY_MS = 15_000;
/** A guest that stands still for a moment finds its packets in the TAP afterwards. */
const TAP_QUEUE_PACKETS = 10_000;

export interface SiteGuest {
  readonly name: string;
  /** From 2 on; its addresses follow from it. */
  readonly number: number;
  readonly mac: string;
  readonly place: GuestSite;
}

export function mappingOf({ name, number, mac, place }: SiteGuest): Mapping {
  const places = GUEST_SITES.map((site) => {
    const { pool4, pool6 } = SITE_FACTS[site];
    const moa4 = pool4.replace('.0/24', `.${number}`);
    const moa6 = pool6.replace('::/64', `::${number.toString(16)}`);
    return [site, { port: FIRST_GUEST_PORT + number, moa4, moa6 }];
  });
  return mappingSchema.parse({
    ...{ guest: name, number, mac, place },
    hoa4: `192.0.2.${number}`,
    hoa6: eui64Address(`2001:db8:7700:${number.toString(16)}::/64`, mac),
    places: Object.fromEntries(places),
    correspondents: [...SITES],
  });
}

export function tapOf(number: number): string {
  return `guest${number}`;
}

export class Gateways {
  readonly controller: Controller;
  readonly mappings: readonly Mapping[];
  readonly gateways: ReadonlyMap<SiteName, OpenVSwitchGateway>;

  private constructor(
    controller: Controller,
    mappings: readonly Mapping[],
    gateways: ReadonlyMap<SiteName, OpenVSwitchGateway>,
  ) {
    this.controller = controller;
    this.mappings = mappings;
    this.gateways = gateways;
  }

  /** Makes the guests' TAPs at both places, sets the bridges up and resolves when every gateway has its flows. */
  static async start(
    lab: SitesLab,
    guests: readonly SiteGuest[],
    onEvent: (event: ControllerEvent) => void = () => {},
  ): Promise<Gateways> {
    const mappings = guests.map(mappingOf);
    const homePrefixes = [...HOME_PREFIXES];
    const network = networkSchema.parse({ homePrefixes, gateways: SITES.map(describe) });
    const services = new GatewayPackets({
      homePrefixes: () => homePrefixes,
      mappings: () => controller.mappings(),
      now: () => performance.now(),
    });
    const repaired = new Set<string>();
    const ready = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => ready.reject(new Error('the gateways did not get their flows')),
      READY_MS,
    );
    const controller: Controller = new Controller({
      ...{ network, mappings, services },
      onEvent: (event) => {
        onEvent(event);
        if (event.type === 'repaired') repaired.add(event.gateway);
        if (repaired.size === SITES.length) ready.resolve();
      },
    });
    const gateways = new Map<SiteName, OpenVSwitchGateway>();
    for (const site of SITES) {
      // Of sockets Open vSwitch connects to this one alone.
      const socket = `unix:${join(lab.directory, site, `${BRIDGE}.controller`)}`;
      await controller.listen(parseListen(socket));
      if (site !== 'site-c') await makeTaps(lab, site, guests);
      const gateway = new OpenVSwitchGateway({
        database: lab.openVSwitch(site).database,
        settings: {
          name: BRIDGE,
          datapathId: SITE_FACTS[site].datapathId,
          datapathType: 'netdev',
          failMode: 'secure',
          controllers: [socket],
          ports: [
            { number: UPLINK_PORT, name: UPLINK },
            ...(site === 'site-c' ? [{ number: HOSTS_PORT, name: HOSTS }] : []),
          ],
        },
      });
      await gateway.start();
      if (site !== 'site-c')
        for (const { number } of guests)
          await gateway.attach({ number: FIRST_GUEST_PORT + number, name: tapOf(number) });
      gateways.set(site, gateway);
    }
    await ready.promise.finally(() => clearTimeout(timer));
    return new Gateways(controller, mappings, gateways);
  }

  async close(): Promise<void> {
    for (const gateway of this.gateways.values()) gateway.close();
    await this.controller.close();
  }
}

function describe(site: SiteName) {
  const { datapathId, mac, nextHop } = SITE_FACTS[site];
  if (site === 'site-c')
    return {
      ...{ id: site, datapathId, uplink: { port: UPLINK_PORT } },
      hosts: { port: HOSTS_PORT },
    };
  const { pool4, pool6 } = SITE_FACTS[site];
  return { id: site, datapathId, uplink: { port: UPLINK_PORT, mac, nextHop }, pool4, pool6 };
}

async function makeTaps(
  lab: SitesLab,
  site: GuestSite,
  guests: readonly SiteGuest[],
): Promise<void> {
  await lab
    .namespace(site)
    .ip(
      ...guests.flatMap(({ number }) => [
        `tuntap add dev ${tapOf(number)} mode tap`,
        `link set ${tapOf(number)} txqueuelen ${TAP_QUEUE_PACKETS} up`,
      ]),
    );
}
