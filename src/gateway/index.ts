export {
  type AddressPair,
  AddressTable,
  NatPtPort,
  type NatPtPortOptions,
  readNatPtPort,
} from './nat-pt/index.ts';
export {
  type BridgePort,
  type BridgeSettings,
  bridgeSettings,
  DATABASE_SOCKET,
  type GatewayEvent,
  OpenVSwitchGateway,
  type OpenVSwitchOptions,
} from './ovs/index.ts';
export { GatewayPackets, type GatewayPacketsOptions } from './services/index.ts';
