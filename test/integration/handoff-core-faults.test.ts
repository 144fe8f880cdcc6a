/**
 * Real QEMUs, and what can go wrong: after every failure the same guest goes on at the source, with its disk, and the
 * next handoff can be tried; after the seal the destination decides.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { HandoffResult } from '../../src/handoff/index.ts';
import { HandoffLab } from './handoff-lab.ts';

let lab: HandoffLab;
beforeAll(async () => {
  lab = await HandoffLab.open({ delayMs: 2 });
  await lab.console.run('dd if=/dev/urandom of=/dev/vda bs=1M count=6 conv=fsync 2>/dev/null');
}, 60_000);
afterAll(() => lab.close());
beforeEach(() => {
  lab.link.flow();
  lab.onPhase = () => undefined;
  lab.link.onCall = () => undefined;
  lab.datapath.length = 0;
});

async function expectAtSource(result: HandoffResult, code: string | RegExp): Promise<void> {
  expect(result).toMatchObject({ outcome: 'stayed', guest: 'running', epoch: 1 });
  expect(result.reason?.code).toMatch(code);
  await expectSourceWorks();
}

async function expectSourceWorks(): Promise<void> {
  expect(await lab.source.running()).toBe(true);
  const write = 'echo alive | dd of=/dev/vda bs=512 seek=100 conv=notrunc,fsync 2>/dev/null';
  await lab.console.run(`${write} && dd if=/dev/vda bs=512 skip=100 count=1 | grep alive`);
  expect(await lab.source.qmp.execute('query-block-jobs')).toEqual([]);
}

const phases = ['prepare', 'disk', 'memory', 'switchover'];

describe('before the seal the guest stays', () => {
  test.each(phases)(
    'cancelled in %s',
    async (phase) => {
      const cancel = new AbortController();
      lab.onPhase = (now) => now === phase && cancel.abort();
      await expectAtSource(await lab.handOff({ signal: cancel.signal }), /cancelled/);
      await lab.incoming?.end();
    },
    30_000,
  );

  test.each(['disk', 'memory', 'switchover'])(
    'destination QEMU killed in %s',
    async (phase) => {
      lab.onPhase = (now) => {
        if (now === phase) lab.incoming?.kill();
      };
      await expectAtSource(await lab.handOff(), /./);
      expect(lab.destinationJournal.types.at(-1)).toBe('incoming-refused');
    },
    30_000,
  );

  test('somebody pauses the guest: QEMU would not wait for the release then', async () => {
    let paused: Promise<unknown> = Promise.resolve();
    lab.onPhase = (now) => {
      if (now === 'memory') paused = lab.source.qmp.execute('stop');
    };
    await expectAtSource(await lab.handOff(), 'guest-paused');
    await paused;
    await lab.incoming?.end();
  }, 30_000);

  test('its QEMU does not answer for longer than anybody waits: it goes on when it does', async () => {
    const cancel = new AbortController();
    lab.onPhase = (now) => {
      if (now !== 'memory') return;
      lab.source.process.kill('SIGSTOP');
      cancel.abort();
    };
    const handoff = lab.handOff({ signal: cancel.signal });
    const waits = () => lab.progress.some(({ notice }) => notice?.includes('does not answer'));
    while (!waits()) await delay(50);
    lab.source.process.kill('SIGCONT');
    await expectAtSource(await handoff, /cancelled/);
    await lab.incoming?.end();
  }, 60_000);

  test('the memory stream stalls in the switchover', async () => {
    lab.link.onCall = (method) => {
      if (method === 'handoff.loaded') lab.link.stall('handoff.memory');
    };
    await expectAtSource(await lab.handOff(), 'switchover-stalled');
    expect(lab.datapath).toContain('abort');
  }, 30_000);

  test('the disk stream stalls in the switchover', async () => {
    lab.link.onCall = (method) => {
      if (method === 'handoff.loaded') lab.link.stall('handoff.disk');
    };
    await expectAtSource(await lab.handOff(), 'switchover-stalled');
  }, 30_000);

  test('the word that all is loaded never comes', async () => {
    lab.link.stall('handoff.loaded');
    await expectAtSource(await lab.handOff(), 'switchover-stalled');
  }, 30_000);

  test.each([
    ['handoff.disk', 'disk'],
    ['handoff.memory', 'memory'],
  ])(
    '%s stalls for long: the guest works on, and the handoff is cancelled',
    async (kind, phase) => {
      const cancel = new AbortController();
      const reached = new Promise<void>((resolve) => {
        lab.onPhase = (now) => now === phase && resolve();
      });
      lab.link.stall(kind);
      const handoff = lab.handOff({ signal: cancel.signal });
      await reached;
      await lab.console.run(
        'dd if=/dev/urandom of=/dev/vda bs=1M seek=10 count=20 conv=fsync 2>/dev/null',
      );
      await lab.console.run('dd if=/dev/zero of=/tmp/fill bs=1M count=16 2>/dev/null; sync');
      expect(await lab.source.running()).toBe(true);
      cancel.abort();
      await expectAtSource(await handoff, /cancelled/);
    },
    40_000,
  );
});

describe('after the seal the destination decides', () => {
  test('a refusal brings the guest back under a new epoch', async () => {
    lab.link.onCall = (method) => {
      if (method === 'handoff.seal') lab.incoming?.kill();
    };
    lab.link.stall('handoff.seal');
    const handoff = lab.handOff();
    while (lab.destinationJournal.types.at(-1) !== 'incoming-refused') await delay(20);
    lab.link.flow();
    const result = await handoff;
    expect(result).toMatchObject({ outcome: 'stayed', guest: 'running', epoch: 3 });
    await expectSourceWorks();
    expect(lab.datapath).toContain('reclaim 3');
  }, 30_000);

  test('a refused guest goes on while that cannot be written, and the handoff ends when it is', async () => {
    lab.link.onCall = (method) => {
      if (method === 'handoff.seal') lab.incoming?.kill();
    };
    lab.link.stall('handoff.seal');
    const append = lab.sourceJournal.append.bind(lab.sourceJournal);
    let full = true;
    lab.sourceJournal.append = async (record) => {
      if (full && record.type === 'handoff-reclaimed') throw new Error('ENOSPC');
      await append(record);
    };
    let ended = false;
    const handoff = lab.handOff().finally(() => {
      ended = true;
    });
    while (lab.destinationJournal.types.at(-1) !== 'incoming-refused') await delay(20);
    lab.link.flow();
    while (!lab.datapath.includes('reclaim 3') || !(await lab.source.running())) await delay(20);
    await lab.console.run('echo alive');
    expect(ended).toBe(false);
    full = false;
    expect(await handoff).toMatchObject({ outcome: 'stayed', guest: 'running', epoch: 3 });
    expect(lab.sourceJournal.types.at(-1)).toBe('handoff-reclaimed');
  }, 40_000);

  test('a lost answer is asked for again, and the guest runs in one place', async () => {
    lab.link.lose('handoff.seal<');
    let asked = 0;
    lab.link.onCall = (method) => {
      if (method === 'handoff.seal') asked += 1;
      if (asked === 2) lab.link.find();
    };
    const result = await lab.handOff();
    expect(asked).toBe(2);
    expect(result).toMatchObject({ outcome: 'handed-over', guest: 'elsewhere' });
    expect(result.phases.map(({ name }) => name)).toContain('in-doubt');
    expect(await lab.incoming?.running()).toBe(true);
    await lab.follow();
    await lab.console.run('dd if=/dev/vda bs=512 skip=100 count=1 | grep alive');
  }, 40_000);
});
