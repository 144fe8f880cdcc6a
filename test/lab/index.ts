export { enterLab, mayMakeNamespaces } from './enter.ts';
export { endProcess, type Namespace, type SpawnOptions } from './namespace.ts';
export { ADDRESSES, Lab, type LabOptions } from './network.ts';
export { startTapAdapter } from './tap-adapter.ts';
