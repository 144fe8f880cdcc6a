export {
  DATABASE_SOCKET,
  type GatewayEvent,
  OpenVSwitchGateway,
  type OpenVSwitchOptions,
} from './gateway.ts';
export { type BridgePort, type BridgeSettings, bridgeSettings } from './settings.ts';
