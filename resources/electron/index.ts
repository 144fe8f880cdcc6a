/** The Electron that runs the app from a clone. */
export { PINNED_VERSION } from './pinned.ts';
export { pinnedFolder, pinnedRuntime, type Runtime, runtimeOfClone } from './runtime.ts';
