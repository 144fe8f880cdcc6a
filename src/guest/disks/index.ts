export {
  type MemoryDirectory,
  type MemoryDirectoryOptions,
  memoryDirectory,
  memoryRoom,
  ownMemoryDirectories,
} from './memory-directory.ts';
export {
  copyOverlay,
  createOverlay,
  growOverlay,
  MINIMUM_OVERLAY_LIMIT,
  type OverlayFull,
  type OverlayPlace,
  onOverlayFull,
  overlayEnd,
  overlayUsage,
  raiseOverlayLimit,
} from './overlay.ts';
export {
  bytesWritten,
  canPersistMirrored,
  type PersistDisk,
  type PersistOptions,
  persistLive,
  removePersistRemains,
} from './persist.ts';
export { qemuImg, replaceFile } from './qemu-img.ts';
