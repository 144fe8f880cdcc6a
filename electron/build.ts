/**
 * Builds the main process and the preload script into `dist/electron`, each as one file: Electron's Node does not run
 * TypeScript, and a sandboxed preload script cannot import.
 */
import { join } from 'node:path';
import { build, type InlineConfig } from 'vite';
import { buildUi } from '../src/ui/build.ts';

const root = join(import.meta.dirname, '..');
/** The oldest Electron that runs it has V8 13.0 and Node 20.18. */
const TARGET = 'node20';

const shared = (entry: string, fileName: string, format: 'es' | 'cjs'): InlineConfig => ({
  configFile: false,
  root,
  publicDir: false,
  logLevel: 'warn',
  build: {
    ssr: join(root, 'electron', entry),
    outDir: join(root, 'dist', 'electron'),
    emptyOutDir: false,
    target: TARGET,
    minify: false,
    rollupOptions: {
      external: ['electron'],
      output: { format, entryFileNames: fileName, codeSplitting: false },
    },
  },
  ssr: { noExternal: true, external: ['electron'], target: 'node' },
});

/** The whole app: page, main process, preload script. */
export async function buildApp(): Promise<void> {
  await Promise.all([
    buildUi(),
    build(shared('main.ts', 'main.js', 'es')),
    build(shared('preload.ts', 'preload.cjs', 'cjs')),
  ]);
}

if (import.meta.main) await buildApp();
