export { DatapathClient, type DatapathClientOptions } from './client.ts';
export type {
  Configuration,
  DatapathEvent,
  GuestSettings,
  Params,
  Problem,
  Result,
  Status,
} from './control.ts';
export { type LonePort, LoneSwitch, type LoneSwitchOptions } from './lone-switch.ts';
export {
  adoptDatapath,
  controlSocketPath,
  type DatapathHandle,
  type DatapathRecord,
  type DatapathStart,
  endDatapath,
  startDatapath,
} from './process.ts';
