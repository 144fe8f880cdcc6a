export { linuxWifiSensor } from './linux.ts';
export { wifiSensor } from './platform.ts';
export {
  type BatteryState,
  type InterfacePresence,
  readBattery,
  readInterfaces,
} from './presence.ts';
export { type ReplayOptions, ReplaySensor } from './replay.ts';
export type { LinkSensor, Pace, SensorCapabilities, SensorReport, SensorState } from './sensor.ts';
