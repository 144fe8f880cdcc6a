import { afterEach, describe, expect, test } from 'vitest';
import {
  cloud,
  type DoubleAgent,
  fakeGuest,
  fakeProgress,
  fakeStandby,
  fakeStatus,
  laptop,
  startDouble,
} from '../api/double.ts';
import { jsonLines, runCli } from './run-cli.ts';

let agent: DoubleAgent;
afterEach(() => agent.stop());
const cli = (...args: string[]) => runCli([...args, '--state', agent.stateDirectory]);

describe('arm', () => {
  test('passes on what is wanted, and says how things stand', async () => {
    const inputs: unknown[] = [];
    agent = await startDouble({
      'standby.arm': async (input) => {
        inputs.push(input);
        return fakeGuest({ standby: fakeStandby({ state: 'filling' }) });
      },
    });
    const run = await cli('arm', 'alpine', '--at', 'cloud', '--when-unmetered', '--no-both-ways');
    expect(run).toMatchObject({ code: 0, stdout: 'alpine: filling at cloud\n' });
    expect(inputs).toEqual([
      { guest: 'alpine', at: 'cloud', wait: false, whenUnmetered: true, bothWays: false },
    ]);
  });

  test('shows the fill while it waits', async () => {
    const filling = fakeStandby({ state: 'filling', progress: fakeProgress() });
    agent = await startDouble({
      'standby.arm': async (_input, { emit }) => {
        emit(filling);
        return fakeGuest({ standby: fakeStandby() });
      },
    });
    const run = await cli('arm', 'alpine', '--at', 'cloud', '--wait');
    expect(run.stderr).toBe(
      'filling at cloud: memory: 50.0 MB of 200 MB, 12.5 MB/s, about 12.0 s left\n',
    );
    expect(run.stdout).toBe(
      'alpine: armed at cloud: about 240 ms to go on there, 14.0 kB still to cross (152 kB before compression), 800 ms old, changes 30.0 kB/s, upkeep 3.00 kB/s\n',
    );
    const json = await cli('arm', 'alpine', '--at', 'cloud', '--wait', '--json');
    expect(jsonLines(json.stdout)).toEqual([
      { standby: filling },
      fakeGuest({ standby: fakeStandby() }),
    ]);
  });

  test('needs a place', async () => {
    agent = await startDouble({});
    const run = await cli('arm', 'alpine');
    expect(run.code).not.toBe(0);
    expect(run.stderr).toContain('--at');
  });
});

test('disarm', async () => {
  agent = await startDouble({ 'standby.disarm': async () => fakeGuest() });
  expect(await cli('disarm', 'alpine')).toMatchObject({
    code: 0,
    stdout: 'alpine is disarmed\n',
  });
});

test('status and show tell why a guest does not stand by', async () => {
  const standby = fakeStandby({
    state: 'unavailable',
    reason: 'cloud has no memory left',
    reasonCode: 'memory-short',
  });
  const guest = fakeGuest({ standby });
  agent = await startDouble({
    status: async () => fakeStatus({ guests: [guest] }),
    'guest.show': async () => guest,
  });
  expect((await cli('status')).stdout).toContain('unavailable at cloud');
  expect((await cli('guest', 'show', 'alpine')).stdout).toContain(
    'standby       unavailable at cloud: cloud has no memory left\n',
  );
});

describe('audit', () => {
  const from = '2026-01-02T03:04:05.000Z';
  const guest = { id: fakeGuest().id, name: 'alpine' };
  const tenure = { guest, epoch: 1, owner: laptop, from, until: from, handoffId: null };
  const entries = [
    { ...tenure, record: 'guest-created' },
    { ...tenure, epoch: 2, owner: cloud, until: null, record: 'handoff-sealed' },
  ];

  test('is a table and a verdict', async () => {
    agent = await startDouble({
      'guest.audit': async () => ({ place: laptop, entries, problems: [] }),
    });
    const run = await cli('audit', 'alpine');
    expect(run.stdout.split('\n')).toEqual([
      'GUEST   EPOCH  OWNER   FROM                      UNTIL                     BY',
      `alpine  1      laptop  ${from}  ${from}  guest-created`,
      `alpine  2      cloud   ${from}  -                         handoff-sealed`,
      '',
      'One owner at a time, by the journal of laptop.',
      '',
    ]);
  });

  test('fails when the journal contradicts itself', async () => {
    agent = await startDouble({
      'guest.audit': async () => ({ place: laptop, entries, problems: ['two owners'] }),
    });
    const run = await cli('audit');
    expect(run.code).not.toBe(0);
    expect(run.stdout).toContain('PROBLEM: two owners');
    expect(run.stderr).toContain('two owners');
  });
});
