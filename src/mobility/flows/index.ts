export { instructionsText, keyOf, matchText } from './canonical.ts';
export { checkMapping, checkMappings, checkNetwork, mobileAddresses, reaches } from './check.ts';
export { gatewayFlows, mappingFlows, type Way } from './compile.ts';
export {
  COOKIE,
  cookieOf,
  type DesiredFlow,
  PURPOSE,
  type Purpose,
  readCookie,
  type Stage,
  TABLES,
} from './desired.ts';
export {
  type Attachment,
  attachmentSchema,
  datapathIdOf,
  type Gateway,
  gatewaySchema,
  holders,
  holds,
  isRouter,
  type Mapping,
  mappingSchema,
  type Network,
  networkSchema,
} from './network.ts';
export {
  type Change,
  flowModOf,
  type InstalledFlow,
  isEmpty,
  PHASES,
  type Phase,
  type Plan,
  planChanges,
} from './plan.ts';
