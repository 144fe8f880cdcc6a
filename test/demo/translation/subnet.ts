/**
 * One subnet, in which QEMU's own live migration keeps a guest reachable: a bridge with both places and somebody who watches. The
 * guest gets its address from a DHCP server there; when QEMU announces it (RARP), the bridge learns where it is now.
 *
 *   guest-a, guest-b -[ bridge `guests` 192.0.2.1 ]- eth0 of `neighbour` 192.0.2.200
 */
import { serveAddress } from '../../lab/dhcp-server.ts';
import type { SitesLab } from '../../lab/sites.ts';

export const SUBNET_GUEST = '192.0.2.2';
export const SUBNET_TAPS = ['guest-a', 'guest-b'] as const;
const GATEWAY = '192.0.2.1';
const NEIGHBOUR = '192.0.2.200';
const TAP_QUEUE_PACKETS = 10_000;

export async function makeSubnet(lab: SitesLab): Promise<void> {
  const [lan, neighbour] = [lab.namespace('lan'), lab.namespace('neighbour')];
  await lan.ip(
    'link add guests type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
    `address add ${GATEWAY}/24 dev guests`,
    'link set guests up',
    'link set lo up',
    ...SUBNET_TAPS.flatMap((tap) => [
      `tuntap add dev ${tap} mode tap`,
      `link set ${tap} txqueuelen ${TAP_QUEUE_PACKETS} master guests up`,
    ]),
    `link add watch type veth peer name eth0 netns ${neighbour.pid}`,
    'link set watch master guests up',
  );
  await neighbour.ip(`address add ${NEIGHBOUR}/24 dev eth0`, 'link set eth0 up', 'link set lo up');
  const { directory } = lab;
  await serveAddress(lan, { directory, guest: SUBNET_GUEST, gateway: GATEWAY });
}
