import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import type { IncomingView, NearbyView, ReceivingView } from '../../src/api/index.ts';
import { cloud, type DoubleAgent, fakeGuest, fakeStatus, startDouble } from '../api/double.ts';
import { jsonLines, runCli } from './run-cli.ts';

let agent: DoubleAgent;
afterEach(() => agent.stop());
const cli = (...args: string[]) => runCli([...args, '--state', agent.stateDirectory]);

const rights = {
  receive: 'ask',
  own: false,
  fetch: true,
  limits: { guests: 2, memoryMiB: null, diskBytes: null },
} as const;
const receiving: ReceivingView = {
  receive: 'ask',
  listens: ['192.0.2.7:7000'],
  places: [{ place: cloud, rights }],
};
const guest = fakeGuest();
const incoming: IncomingView = {
  id: '11111111-1111-4111-8111-111111111111',
  guest: { id: guest.id, name: 'desktop' },
  from: cloud,
  standby: false,
  since: new Date().toISOString(),
  expiresAt: new Date(Date.now() + 45_000).toISOString(),
  memoryMiB: 512,
  vcpus: 2,
  diskBytes: 2_000_000,
};

describe('receive', () => {
  test('shows what is, and passes on what is wanted', async () => {
    const inputs: unknown[] = [];
    agent = await startDouble({
      'receiving.show': async () => receiving,
      'receiving.set': async (input) => {
        inputs.push(input);
        return receiving;
      },
    });
    const shown = await cli('receive');
    expect(shown.stdout).toContain('guests of other places: ask\n');
    expect(shown.stdout).toContain('192.0.2.7:7000');
    expect(shown.stdout).toMatch(/cloud +ask \(as all\) +yes +2 +- +-/);
    await cli('receive', 'off');
    await cli('receive', 'always', '--from', 'cloud', '--guests', '0', '--disk', 'none');
    await cli('receive', '--from', 'cloud', '--fetch', 'off', '--memory', '1G');
    expect(inputs).toEqual([
      { receive: 'off' },
      { place: 'cloud', receive: 'always', limits: { guests: 0, diskBytes: null } },
      { place: 'cloud', fetch: false, limits: { memoryMiB: 1024 } },
    ]);
  });

  test.each([
    [['--guests', '2'], 'place-missing'],
    [['default'], 'place-missing'],
    [['--from', 'cloud', '--guests', 'many'], 'count-malformed'],
  ])('%s is refused', async (args, code) => {
    agent = await startDouble({});
    const run = await cli('receive', ...args, '--json');
    expect(run.code).toBe(2);
    expect(run.stdout).toContain(code);
  });
});

describe('incoming', () => {
  test('is a table, and is answered by name or id', async () => {
    const inputs: unknown[] = [];
    agent = await startDouble({
      'incoming.list': async () => [incoming],
      'incoming.answer': async (input) => {
        inputs.push(input);
        return incoming;
      },
    });
    expect((await cli('incoming')).stdout).toMatch(/desktop +cloud +to run here +512 MiB +2 /);
    expect(jsonLines((await cli('incoming', 'list', '--json')).stdout)).toEqual([[incoming]]);
    expect((await cli('incoming', 'accept', 'desktop')).stdout).toBe('desktop of cloud may come\n');
    await cli('incoming', 'accept', '1111', '--always');
    await cli('incoming', 'refuse', 'desktop');
    expect(inputs).toEqual(
      ['once', 'always', 'refuse'].map((answer) => ({ incoming: incoming.id, answer })),
    );
  });

  test('says what nobody asks', async () => {
    agent = await startDouble({ 'incoming.list': async () => [] });
    const run = await cli('incoming', 'accept', 'desktop');
    expect(run).toMatchObject({ code: 3 });
    expect(run.stderr).toContain('Nothing named "desktop" asks to come in');
  });
});

describe('pair --nearby', () => {
  const id = '22222222-2222-4222-8222-222222222222';
  const base: NearbyView = {
    visibleAs: 'laptop',
    problem: null,
    devices: [{ ...cloud, profile: 'device', paired: false }],
    attempt: null,
  };
  const attempt = { id, direction: 'there', peer: cloud, msLeft: 60_000 } as const;
  const comparing: NearbyView = {
    ...base,
    attempt: {
      ...attempt,
      state: { kind: 'comparing', code: '012345', here: false, there: false },
    },
  };
  const paired: NearbyView = {
    ...base,
    attempt: { ...attempt, msLeft: null, state: { kind: 'paired', place: cloud } },
  };

  /** An agent that goes through `views`, the last one after it was answered. */
  async function doubleWith(start: NearbyView, then: NearbyView) {
    const calls: unknown[] = [];
    const answered = Promise.withResolvers<void>();
    agent = await startDouble({
      'nearby.watch': async (_input, { emit, signal }) => {
        emit(start);
        await answered.promise;
        emit(then);
        if (!signal.aborted) await once(signal, 'abort');
        return {};
      },
      'nearby.pair': async (input) => {
        calls.push(input);
        answered.resolve();
        return {};
      },
      'nearby.answer': async (input) => {
        calls.push(input);
        answered.resolve();
        return {};
      },
    });
    return calls;
  }

  test('begins with the device that was named', async () => {
    const calls = await doubleWith(base, paired);
    const run = await cli('pair', '--nearby', '--with', 'cloud');
    expect(run).toMatchObject({ code: 0, stdout: 'paired with cloud\n' });
    expect(run.stderr).toContain('1  cloud');
    expect(calls).toEqual([{ device: 'cloud' }]);
  });

  test('confirms by the code of the other screen', async () => {
    const calls = await doubleWith(comparing, paired);
    const run = await cli('pair', '--accept', '012 345', '--json');
    expect(run.code).toBe(0);
    expect(jsonLines(run.stdout).at(-1)).toEqual({ place: cloud });
    expect(calls).toEqual([{ attempt: id, answer: 'same' }]);
  });

  test('says no to a code that differs', async () => {
    const said = { code: 'pairing-codes-differ-here', text: 'Differ', remedy: 'Look' };
    const state = { kind: 'failed', ...said } as const;
    const failed: NearbyView = { ...base, attempt: { ...attempt, msLeft: null, state } };
    const calls = await doubleWith(comparing, failed);
    const run = await cli('pair', '--accept', '012346');
    expect(run.code).toBe(7);
    expect(run.stderr).toContain('shows another code');
    expect(calls).toEqual([{ attempt: id, answer: 'different' }]);
  });

  test('tells why it failed', async () => {
    const failure = {
      kind: 'failed',
      code: 'pairing-timed-out',
      text: 'Late',
      remedy: 'Again',
    } as const;
    await doubleWith(base, { ...base, attempt: { ...attempt, msLeft: null, state: failure } });
    const run = await cli('pair', '--nearby', '--with', 'cloud');
    expect(run).toMatchObject({ code: 7 });
    expect(run.stderr).toContain('sojourn: Late. Again.');
  });

  test.each([
    [['pair'], 'pairing-unclear'],
    [['pair', 'sojourn1.x', '--nearby'], 'pairing-unclear'],
    [['pair', '--accept', 'abc'], 'code-malformed'],
  ])('%s is refused', async (args, code) => {
    agent = await startDouble({});
    const run = await cli(...args, '--json');
    expect(run.code).toBe(2);
    expect(run.stdout).toContain(code);
  });
});

test('the status says who asks to come in, and how to answer', async () => {
  agent = await startDouble({ status: async () => fakeStatus({ incoming: [incoming] }) });
  expect((await cli('status')).stdout).toContain(
    'desktop from cloud asks to come in (512 MiB): "sojourn incoming accept desktop", or refuse\n',
  );
});
