import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // The desktop shell serves it under a scheme of its own, at no fixed root.
  base: './',
  build: {
    outDir: fileURLToPath(new URL('../../dist/ui', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    // Scripts that the policy forbids: everything is a module in a file.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
});
