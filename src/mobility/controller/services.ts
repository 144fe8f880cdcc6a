/** What else a gateway does for its guests (ARP, DHCP, router advertisements, ICMP errors): added to the controller from outside. */
import type { PacketInMessage, PacketOut } from '../../openflow/index.ts';
import type { DesiredFlow } from '../flows/desired.ts';
import type { Gateway, Mapping } from '../flows/network.ts';

export interface GatewayServices {
  /** Pure: flows of the gateway itself, with cookies of `PURPOSE.service`. They are installed and repaired like all others. */
  gatewayFlows?(gateway: Gateway): readonly DesiredFlow[];
  /** Pure: flows of a guest at a gateway that holds its mapping. */
  guestFlows?(gateway: Gateway, mapping: Mapping): readonly DesiredFlow[];
  /**
   * A packet that such a flow sent to the controller (`message.cookie` says which). What it throws is reported as an event and ends nothing.
   * @param guest by the number in the cookie, when there is one.
   */
  packetIn?(
    gateway: Gateway,
    guest: Mapping | undefined,
    message: PacketInMessage,
    out: (message: Omit<PacketOut, 'type'>) => void,
  ): void;
}
