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
  type Mapping,
  mappingSchema,
  type Network,
  networkSchema,
} from './network.ts';
