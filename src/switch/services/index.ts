export { GATEWAY_LINK_LOCAL, GATEWAY_MAC, GUEST_MTU, TAP_HOST_MAC } from './constants.ts';
export { answerDhcp, DHCP, type DhcpLease, decodeDhcp } from './dhcp.ts';
export { arpReply, decodeArp, ethernet } from './ethernet.ts';
export {
  answerGuest,
  answerHost,
  type GuestGateway,
  gatewayFrame,
  guestGateway,
  isPresenceReply,
  presenceRequest,
  unsolicitedAdvertisement,
} from './gateway.ts';
export { echoReply, type IcmpProblem, icmpError } from './icmp.ts';
export { fragment4 } from './ip.ts';
export { decodeNeighborSolicitation, neighborAdvertisement } from './nd.ts';
export { TokenBucket } from './token-bucket.ts';
