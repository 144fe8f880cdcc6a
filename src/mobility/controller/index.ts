export type { GatewayServices } from './services.ts';
