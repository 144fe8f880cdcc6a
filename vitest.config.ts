import { defineConfig } from 'vitest/config';

const integration = 'test/integration/**/*.test.ts';
/** Whose figures or pictures something else would spoil. */
const alone = ['test/e2e/**/*.test.ts', 'test/integration/demo.test.ts'];
const slow = 'test/**/*.slow.test.ts';
const setupFiles = ['test/integration/tell-recent-lines.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          sequence: { groupOrder: 0 },
          include: ['test/**/*.test.ts'],
          exclude: [integration, ...alone, slow],
        },
      },
      {
        // Real QEMUs in network namespaces of their own: mostly they wait for each other. Time for an emulated boot.
        test: {
          name: 'integration',
          sequence: { groupOrder: 1 },
          include: [integration],
          exclude: [...alone, slow],
          setupFiles,
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'alone',
          sequence: { groupOrder: 2 },
          include: alone,
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
          sequence: { groupOrder: 3 },
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
