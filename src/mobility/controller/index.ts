export type { Mapping, Network } from '../flows/index.ts';
export { Controller, type ControllerOptions } from './controller.ts';
export type { ChangeReport, ControllerEvent } from './events.ts';
export { readMappings, readNetwork } from './files.ts';
export {
  newest,
  type Registered,
  type Remark,
  registeredMappings,
} from './registered.ts';
export type { GatewayServices } from './services.ts';
