export { blobsOf, type ImageManifest } from './manifest.ts';
export { ImageStore, type ImportOptions } from './store.ts';
