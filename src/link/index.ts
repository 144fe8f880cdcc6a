export {
  describeNeed,
  describeOutlook,
  type Evidence,
  Forecaster,
  type ForecastParameters,
  forecastParameters,
  forecastParametersSchema,
  isTime,
  type LossMemory,
  lossMemorySchema,
  type Outlook,
} from './forecast/index.ts';
export {
  type Clocks,
  LinkMonitor,
  type MonitorEvent,
  type MonitorOptions,
  replayClocks,
  type Situation,
  systemClocks,
} from './monitor.ts';
export {
  type Action,
  type Connection,
  type Decision,
  decide,
  defaultRules,
  initialState,
  loadRules,
  type PolicyInput,
  type PolicyState,
  type ReplaySettings,
  type ReplayStep,
  type Rules,
  replayPolicy,
  rulesSchema,
  type Wish,
} from './policy/index.ts';
export { PlaceProbes, type ProbeOptions, type ProbeView } from './probes/index.ts';
export {
  type Band,
  bandOf,
  bands,
  type LinkSample,
  linkSampleSchema,
  type Medium,
  media,
} from './sample.ts';
export * from './sensors/index.ts';
export {
  type LoadedTrace,
  loadTraces,
  type RecordingOptions,
  RecordingWriter,
  type Trace,
  type TraceFormat,
  type TraceRow,
} from './traces/index.ts';
