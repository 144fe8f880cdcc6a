export { type FreezeOptions, type FrozenAbi, freezeAbi } from './abi.ts';
export {
  type AcceleratorOptions,
  type AcceleratorVerdict,
  chooseAccelerator,
} from './accelerator.ts';
export { buildArguments, GUEST_MTU } from './arguments.ts';
export {
  type CompatibilityOptions,
  compatibilityProblems,
  memoryOverheadMiB,
  type PlaceCapabilities,
  type Problem,
  placeCapabilities,
} from './compatibility.ts';
export { CONSOLE_LOG_LIMIT, trimConsoleLog } from './console.ts';
export {
  bytesWritten,
  canPersistMirrored,
  copyOverlay,
  createOverlay,
  growOverlay,
  type MemoryDirectory,
  type MemoryDirectoryOptions,
  MINIMUM_OVERLAY_LIMIT,
  memoryDirectory,
  type OverlayFull,
  type OverlayPlace,
  onOverlayFull,
  overlayEnd,
  overlayUsage,
  ownMemoryDirectories,
  type PersistDisk,
  type PersistOptions,
  persistLive,
  raiseOverlayLimit,
  removePersistRemains,
} from './disks/index.ts';
export {
  createVariables,
  FIRMWARE_REMEDY,
  type Firmware,
  type FirmwareFiles,
  findFirmware,
  isSameFirmwareSize,
} from './firmware.ts';
export { type ClockOptions, type ClockResult, correctClock } from './guest-agent.ts';
export {
  GuestProcess,
  type GuestProcessOptions,
  type GuestProcessRecord,
  guestProcessRecord,
  type StopOutcome,
} from './guest-process.ts';
export {
  type ExitInfo,
  type Launched,
  type Launcher,
  type LaunchOptions,
  launchDetached,
  protectFromOomKiller,
} from './launch.ts';
export { type Migratability, migratability } from './migratability.ts';
export { type PlaceOptions, readPlaceCapabilities } from './place.ts';
export {
  type Architecture,
  MINIMUM_QEMU,
  type ProbeOptions,
  probeQemu,
  type QemuCapabilities,
  type QemuVersion,
} from './probe.ts';
export {
  identifyProcess,
  isRunning,
  killProcess,
  type ProcessIdentity,
  processIdentity,
  signalProcess,
} from './process-identity.ts';
export {
  type QmpArguments,
  type QmpCallOptions,
  QmpClient,
  QmpClosedError,
  type QmpConnectOptions,
  QmpError,
  type QmpEvent,
  type QmpLogEntry,
  QmpProtocolError,
  QmpTimeoutError,
  type QmpWaitOptions,
} from './qmp/index.ts';
export {
  type DiskRuntime,
  type GuestPaths,
  type GuestRuntime,
  guestPaths,
  guestRuntime,
} from './runtime.ts';
export { endStrays, findStrays, type Stray } from './strays.ts';
export { MAX_CLIPBOARD_BYTES, VdagentPort } from './vdagent/index.ts';
