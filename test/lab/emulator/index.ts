export { EmulatorClient } from './client.ts';
export { Direction } from './direction.ts';
export { FrameReader, FrameTooLong, frameHeader, MAX_FRAME_BYTES } from './framing.ts';
export { Link, MAX_EGRESS_BYTES, type WayStatistics } from './link.ts';
export type { EmulatorOptions } from './main.ts';
export {
  type DirectionParameters,
  type DirectionPatch,
  idealDirection,
  type LinkTrace,
} from './parameters.ts';
export { Random } from './random.ts';
