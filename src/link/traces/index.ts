export { type LoadedTrace, loadTraces } from './load.ts';
export { type RecordingOptions, RecordingWriter } from './recording.ts';
export type { Trace, TraceFormat, TraceRow } from './trace.ts';
