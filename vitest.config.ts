import { defineConfig } from 'vitest/config';

const integration = ['test/integration/**/*.test.ts', 'test/e2e/**/*.test.ts'];
const slow = 'test/**/*.slow.test.ts';
const setupFiles = ['test/integration/tell-recent-lines.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...integration, slow],
        },
      },
      {
        // Real QEMUs, namespaces, ports and displays: one file at a time, and time for an emulated boot.
        test: {
          name: 'integration',
          include: integration,
          exclude: [slow],
          setupFiles,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'slow',
          include: [slow],
          setupFiles,
          fileParallelism: false,
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
