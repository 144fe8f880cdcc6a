export { rewriteIcmpError } from './icmp-errors.ts';
export { GatewayPackets, type GatewayPacketsOptions } from './packets.ts';
