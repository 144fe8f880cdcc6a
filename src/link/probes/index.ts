export { PlaceProbes, type ProbeOptions, type ProbeView } from './probes.ts';
