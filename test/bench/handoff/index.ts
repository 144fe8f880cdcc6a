export { order } from './orders.ts';
export { type ProcessUse, placeProcesses } from './processes.ts';
export { SojournMover } from './sojourn-mover.ts';
