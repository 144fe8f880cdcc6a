/** Which controller is told what (OpenFlow 1.3.5, 6.3.4 and 7.3.10). Pure. */
import type {
  AsyncConfig,
  FlowRemovedReason,
  PacketInReason,
  PortStatusReason,
} from '../../openflow/index.ts';
import type { HeldRole } from './roles.ts';

/** In the order of their numbers: a mask has bit `1 << number` for each. */
const packetInReasons: readonly PacketInReason[] = ['no-match', 'action', 'invalid-ttl'];
const portStatusReasons: readonly PortStatusReason[] = ['add', 'delete', 'modify'];
const flowRemovedReasons: readonly FlowRemovedReason[] = [
  'idle-timeout',
  'hard-timeout',
  'delete',
  'group-delete',
];

/** A slave hears of ports only, everybody else of everything (6.3.4). */
export const DEFAULT_ASYNC: AsyncConfig = {
  packetIn: { master: 0b111, slave: 0 },
  portStatus: { master: 0b111, slave: 0b111 },
  flowRemoved: { master: 0b1111, slave: 0 },
};

export type AsyncEvent =
  | { readonly kind: 'packetIn'; readonly reason: PacketInReason }
  | { readonly kind: 'portStatus'; readonly reason: PortStatusReason }
  | { readonly kind: 'flowRemoved'; readonly reason: FlowRemovedReason };

const reasons: Readonly<Record<AsyncEvent['kind'], readonly string[]>> = {
  packetIn: packetInReasons,
  portStatus: portStatusReasons,
  flowRemoved: flowRemovedReasons,
};

export function wants(config: AsyncConfig, role: HeldRole, event: AsyncEvent): boolean {
  const mask = config[event.kind][role === 'slave' ? 'slave' : 'master'];
  return (mask & (1 << reasons[event.kind].indexOf(event.reason))) !== 0;
}
