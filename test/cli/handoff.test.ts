import { afterEach, describe, expect, test } from 'vitest';
import type { Handlers } from '../../src/api/index.ts';
import { SojournError } from '../../src/common/index.ts';
import {
  type DoubleAgent,
  fakeGuest,
  fakeProgress,
  fakeResult,
  startDouble,
} from '../api/double.ts';
import { CliProcess, jsonLines, runCli } from './run-cli.ts';

let agent: DoubleAgent;
afterEach(() => agent.stop());

const args = (...more: string[]) => [
  ...['handoff', 'alpine', '--to', 'cloud', '--state', agent.stateDirectory],
  ...more,
];

const moving: Handlers['handoff.start'] = async (_input, { emit }) => {
  emit(fakeProgress({ phase: 'preflight', bytesDone: 0, bytesTotal: null }));
  emit(fakeProgress());
  emit(fakeProgress({ bytesDone: 60_000_000 }));
  emit(fakeProgress({ phase: 'switchover', residueBytes: 14_000, etaMs: 30 }));
  return fakeResult();
};

describe('progress', () => {
  test('without a terminal is a line for each phase', async () => {
    agent = await startDouble({ 'handoff.start': moving });
    const run = await runCli(args());
    expect(run.code).toBe(0);
    expect(run.stdout).toBe(
      'alpine now runs on cloud: 9.3 s from request to running, paused for 21 ms, 81.0 MB on the link (cold handoff)\n',
    );
    expect(run.stderr.split('\n')).toEqual([
      'preflight: 12.5 MB/s, about 12.0 s left',
      'memory: 50.0 MB of 200 MB, 12.5 MB/s, about 12.0 s left',
      'switchover: 50.0 MB of 200 MB, 12.5 MB/s, about 30 ms left, 14.0 kB still to cross',
      '',
    ]);
  });

  test('with --json is a line for each item, then the result', async () => {
    agent = await startDouble({ 'handoff.start': moving });
    const run = await runCli(args('--json'));
    expect(run).toMatchObject({ code: 0, stderr: '' });
    const lines = jsonLines(run.stdout);
    expect(lines).toHaveLength(5);
    expect(lines[1]).toEqual({ progress: fakeProgress() });
    expect(lines[4]).toEqual({ result: fakeResult() });
  });

  test('is not shown with --quiet', async () => {
    agent = await startDouble({ 'handoff.start': moving });
    expect(await runCli(args('--quiet'))).toEqual({
      code: 0,
      signal: null,
      stdout: '',
      stderr: '',
    });
  });
});

describe('Ctrl-C', () => {
  /** Begins a handoff that ends as told once it is cancelled, and interrupts it. */
  async function interrupted(
    onCancel: (
      resolve: (result: ReturnType<typeof fakeResult>) => void,
      reject: (e: Error) => void,
    ) => void,
  ): Promise<CliProcess> {
    agent = await startDouble({
      'handoff.start': (_input, { emit, signal }) => {
        emit(fakeProgress());
        return new Promise((resolve, reject) =>
          signal.addEventListener('abort', () => onCancel(resolve, reject)),
        );
      },
    });
    const run = new CliProcess(args());
    await run.printed('stderr', 'memory:');
    run.child.kill('SIGINT');
    return run;
  }

  test('cancels, and says that the guest stays', async () => {
    const run = await interrupted((_resolve, reject) =>
      reject(
        new SojournError({
          kind: 'cancelled',
          code: 'handoff-cancelled',
          message: 'the handoff was cancelled and alpine goes on at laptop',
        }),
      ),
    );
    const { code, stdout, stderr } = await run.finished;
    expect(code).toBe(8);
    expect(stdout).toBe('');
    expect(stderr).toContain('cancelling the handoff');
    expect(stderr).toContain('sojourn: the handoff was cancelled and alpine goes on at laptop.\n');
  });

  test('says so when it was too late', async () => {
    const run = await interrupted((resolve) => resolve(fakeResult()));
    const { code, stdout, stderr } = await run.finished;
    expect(code).toBe(0);
    expect(stderr).toContain('too late to cancel');
    expect(stdout).toContain('alpine now runs on cloud');
  });

  test('a second time leaves at once', async () => {
    const run = await interrupted(() => {});
    await run.printed('stderr', 'cancelling');
    run.child.kill('SIGINT');
    const { code, stderr } = await run.finished;
    expect(code).toBe(130);
    expect(stderr).toContain('see "sojourn status"');
  });
});

test('an agent that dies during a handoff is reported as that', async () => {
  agent = await startDouble({
    'handoff.start': (_input, { emit }) => {
      emit(fakeProgress());
      return new Promise(() => {});
    },
  });
  const run = new CliProcess(args());
  await run.printed('stderr', 'memory:');
  await agent.server.close();
  expect(await run.finished).toMatchObject({
    code: 6,
    stderr: expect.stringMatching(/The agent closed the connection.*sojourn status/),
  });
});

test('--cancel cancels one that was begun elsewhere', async () => {
  const inputs: unknown[] = [];
  agent = await startDouble({
    'handoff.cancel': async (input) => {
      inputs.push(input);
      return { guest: fakeGuest() };
    },
  });
  const run = await runCli(['handoff', 'alpine', '--cancel', '--state', agent.stateDirectory]);
  expect(run).toMatchObject({
    code: 0,
    stdout: 'the handoff is cancelled; alpine: running here\n',
  });
  expect(inputs).toEqual([{ guest: 'alpine' }]);
});
