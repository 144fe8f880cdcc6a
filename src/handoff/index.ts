export { type DestinationDeps, HandoffDestination } from './destination.ts';
export type {
  ChannelPort,
  Clock,
  GuestHostPort,
  IncomingGuest,
  IncomingRequest,
  LogPort,
  OwnershipJournalPort,
  QmpPort,
  QmpPortEvent,
  SessionPort,
  SourceDatapathPort,
  SourceGuestPort,
} from './ports.ts';
export { type PreflightProblem, preflightProblem } from './preflight.ts';
export {
  type HandoffPhase,
  type HandoffProgress,
  handoffPhase,
  handoffProgress,
  type TimedPhase,
  timedPhase,
} from './progress.ts';
export { leftByHandoff } from './qemu-names.ts';
export {
  type DestinationRecord,
  destinationRecord,
  epoch,
  handoffId,
  type OwnershipRecord,
  ownershipRecord,
  type SourceRecord,
  sourceRecord,
} from './records.ts';
export { tellAborted } from './rpc.ts';
export { recoverSourceHandoff, runSource } from './source.ts';
export type { SwitchoverTimes } from './source-attempt.ts';
export type { Reason } from './source-machine.ts';
export type {
  HandoffResult,
  Manner,
  SourceOptions,
  StandbyOptions,
} from './source-options.ts';
export {
  type StandbyFigures,
  type StandbySnapshot,
  standbyFigures,
  type UpkeepBudget,
  type UpkeepConditions,
  upkeepBudget,
} from './upkeep.ts';
