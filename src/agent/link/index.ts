export { watchPorts } from './ports.ts';
export { linkSensor, TraceSensor } from './sensor.ts';
export { LinkWatch, type LinkWatchOptions, type WatchedGuest, type WatchPorts } from './watch.ts';
