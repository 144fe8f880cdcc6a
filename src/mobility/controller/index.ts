export { Controller, type ControllerOptions } from './controller.ts';
export type { ChangeReport, ControllerEvent } from './events.ts';
export { readMappings, readNetwork } from './files.ts';
export type { GatewayServices } from './services.ts';
