/**
 * The network of a guest that is moved without Sojourn: one Ethernet over both places, a bridge each and a cable between
 * them, which goes over the emulated link as a TCP connection that the device opens (it is behind NAT). The site is the
 * guest's gateway and has a DHCP server. When QEMU announces the guest after a migration (RARP), the bridges learn
 * where it is now.
 *
 *   source QEMU -- guest0 [bridge at the device] cable0 ~~~~ cable0 [bridge at the site 192.0.2.1] guest0 -- destination QEMU
 *
 * This favours plain QEMU and libvirt, which come with nothing of the kind: without it their guest would have no
 * address that is reachable from outside before and after, and its correspondents would lose it for good. The cable
 * itself loses nothing and keeps the order, as Sojourn's tunnel does; what is sent to a guest that stands still is lost,
 * as on every bridge.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { serveAddress } from '../../lab/dhcp-server.ts';
import { type EmulatorOptions, idealDirection } from '../../lab/emulator/index.ts';
import { ADDRESSES, type Lab, type Namespace, startTapAdapter } from '../../lab/index.ts';

const GATEWAY = '192.0.2.1';
const GUEST = '192.0.2.2';
const CABLE_PORT = 7500;
const START_MS = 10_000;

export interface BridgedNetwork {
  /** The guest's address at both places. */
  readonly address: string;
}

/** `sockets`: of source and destination, which the `-netdev stream` of their QEMUs connect to. */
export async function bridgePlaces(
  lab: Lab,
  [source, destination]: readonly [string, string],
): Promise<BridgedNetwork> {
  const { device, site } = lab;
  await Promise.all([bridge(device), bridge(site, `${GATEWAY}/24`)]);
  await startTapAdapter(site, 'cable0', `socket,listen=${ADDRESSES.site4}:${CABLE_PORT}`);
  const toSite = `addr.type=inet,addr.host=${ADDRESSES.site4},addr.port=${CABLE_PORT}`;
  await Promise.all([
    startTapAdapter(device, 'cable0', `stream,server=off,${toSite}`),
    plug(device, source),
    plug(site, destination),
  ]);
  await serveAddress(site, { directory: lab.directory, guest: GUEST, gateway: GATEWAY });
  return { address: GUEST };
}

async function bridge(namespace: Namespace, address?: string): Promise<void> {
  const port = (name: string) => [
    `tuntap add dev ${name} mode tap`,
    `link set ${name} txqueuelen 10000 master guests up`,
  ];
  await namespace.ip(
    'link add guests type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
    ...port('guest0'),
    ...port('cable0'),
    ...(address === undefined ? [] : [`address add ${address} dev guests`]),
    'link set guests up',
  );
}

/** A short wire, that is a link emulator with nothing to emulate, from the socket that the guest's QEMU connects to. */
async function plug(namespace: Namespace, socket: string): Promise<void> {
  const options: EmulatorOptions = {
    a: socket,
    b: `${socket}.tap`,
    control: `${socket}.control`,
    seed: 1,
    aToB: idealDirection,
    bToA: idealDirection,
  };
  const main = fileURLToPath(new URL('../../lab/emulator/main.ts', import.meta.url));
  const wire = await namespace.spawn([process.execPath, main, JSON.stringify(options)], {
    stdout: 'pipe',
  });
  if (wire.stdout === null) throw new Error('the wire of a guest has no output');
  await once(wire.stdout, 'data', { signal: AbortSignal.timeout(START_MS) });
  await startTapAdapter(
    namespace,
    'guest0',
    `stream,server=off,addr.type=unix,addr.path=${options.b}`,
  );
}
