/** Tells with every test that fails what its agents and guests said last. */
import { afterEach } from 'vitest';
import { forgetLines, recentLines } from './recent-lines.ts';

afterEach(({ task }) => {
  const [error] = task.result?.state === 'fail' ? (task.result.errors ?? []) : [];
  if (error !== undefined) error.message += `\nWhat was said last:\n${recentLines()}`;
  forgetLines();
});
