export type { Action, ActionType, Instruction, InstructionType } from './actions.ts';
export { type Clock, steadyClock } from './clock.ts';
export {
  decodeMessage,
  type Envelope,
  encodeMessage,
  errorMessage,
  HEADER_BYTES,
  MAX_MESSAGE_BYTES,
} from './codec/codec.ts';
export {
  CONNECTION_LIMITS,
  type ConnectionHandler,
  type ConnectionLimits,
  type ConnectionOptions,
  OpenFlowConnection,
} from './connection.ts';
export {
  CAPABILITY,
  CONTROLLER_LENGTH,
  FLOW_FLAG,
  FRAGMENTS,
  GROUP,
  GROUP_CAPABILITY,
  IPV6_EXTENSION,
  METER,
  METER_FLAG,
  NO_BUFFER,
  NO_GENERATION,
  OPENFLOW_VERSION,
  PORT,
  PORT_CONFIG,
  PORT_FEATURE,
  PORT_STATE,
  QUEUE_ALL,
  TABLE,
  TABLE_CONFIG_DEPRECATED,
  VLAN,
} from './constants.ts';
export {
  describeError,
  type ErrorCode,
  type ErrorType,
  EXPERIMENTER_ERROR,
  errorCodes,
  ONF,
  OpenFlowError,
  onfError,
  openFlowError,
} from './errors.ts';
export {
  ETH_TYPE,
  type FieldDefinition,
  type FieldName,
  fieldMask,
  fieldNames,
  fieldOfNumber,
  IP_PROTOCOL,
  oxmField,
  oxmFields,
  type Prerequisite,
} from './fields.ts';
export { KEEPALIVE, type KeepalivePolicy } from './keepalive.ts';
export type { FieldValue, MaskedValue, Match, UnknownField } from './match.ts';
export type * from './messages.ts';
export type * from './multipart.ts';
export {
  ASSEMBLY_LIMITS,
  type AssemblyLimits,
  encodeReply,
  encodeRequest,
  MultipartAssembler,
} from './multipart-parts.ts';
export type * from './tables.ts';
export { flowMod } from './tables.ts';
export { formatAction, formatInstruction, formatMatch, formatMessage } from './text.ts';
export { ourHello, refuseVersion } from './version.ts';
