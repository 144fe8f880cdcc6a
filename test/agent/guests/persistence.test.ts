/** When overlays in memory are copied to disk while their guest runs. */
import { expect, test } from 'vitest';
import { mayCopy } from '../../../src/agent/guests/guest-upkeep.ts';
import { Persistence } from '../../../src/agent/guests/persistence.ts';
import type { GuestProcess, PersistOptions } from '../../../src/guest/index.ts';
import { tinySpec } from '../../lab/tiny-guest.ts';

/** A guest that has written so many bytes, and a list of the copies made of it. */
function stand(overlayStorage: 'memory' | 'disk' = 'memory') {
  const written = { bytes: 0 };
  const query = async () => [{ stats: { wr_bytes: written.bytes, unmap_bytes: 0 } }];
  const process = { qmp: { query } } as unknown as GuestProcess;
  const live = { spec: tinySpec({ overlayStorage }), process, disks: [] };
  const copies: (AbortSignal | undefined)[] = [];
  let failure: Error | undefined;
  let during: (options?: PersistOptions) => Promise<void> = async () => undefined;
  const files = {
    persistRunning: async (
      _spec: unknown,
      _qmp: unknown,
      _disks: unknown,
      options?: PersistOptions,
    ) => {
      copies.push(options?.signal);
      if (failure !== undefined) throw failure;
      await during(options);
    },
  };
  const warnings: unknown[] = [];
  const persistence = new Persistence(files, { warn: (...said: unknown[]) => warnings.push(said) });
  const settle = async () => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  };
  const fail = (error: Error | undefined) => {
    failure = error;
  };
  const whileCopied = (action: typeof during) => {
    during = action;
  };
  return { live, written, copies, warnings, persistence, settle, fail, whileCopied };
}

test('a copy is refreshed only when the guest has written since', async () => {
  const { live, written, copies, persistence, settle } = stand();
  for (const [bytes, made] of [
    [100, 1],
    [100, 1],
    [101, 2],
    [101, 2],
  ] as const) {
    written.bytes = bytes;
    persistence.refresh(live);
    await settle();
    expect(copies).toHaveLength(made);
  }
  // The same figure of another QEMU says nothing of this one.
  persistence.refresh({ ...live });
  await settle();
  expect(copies).toHaveLength(3);
});

test('a copy that failed is made again', async () => {
  const { live, copies, warnings, persistence, settle, fail } = stand();
  fail(new Error('no room'));
  persistence.refresh(live);
  await settle();
  fail(undefined);
  persistence.refresh(live);
  await settle();
  expect(copies).toHaveLength(2);
  expect(warnings).toHaveLength(1);
});

test('what is interrupted is not copied, and a guest on disk never is', async () => {
  const { live, copies, warnings, persistence } = stand();
  persistence.refresh(live);
  await persistence.interrupt(live.spec.id);
  persistence.begin(live, 60_000);
  await persistence.interrupt(live.spec.id);
  expect([...copies, ...warnings]).toEqual([]);
  const onDisk = stand('disk');
  await onDisk.persistence.copyNow(onDisk.live);
  expect(onDisk.copies).toEqual([]);
});

test('a handoff waits until QEMU is done with a copy, and not for the disk', async () => {
  const { live, copies, persistence, settle, whileCopied } = stand();
  const qemu = Promise.withResolvers<void>();
  const disk = Promise.withResolvers<void>();
  whileCopied(async (options) => {
    await qemu.promise;
    options?.onReleased?.();
    await disk.promise;
  });
  persistence.refresh(live);
  await settle();
  const told: string[] = [];
  const released = persistence.release(live.spec.id).then(() => told.push('released'));
  const done = persistence.interrupt(live.spec.id).then(() => told.push('done'));
  expect(copies[0]?.aborted).toBe(true);
  await settle();
  expect(told).toEqual([]);
  qemu.resolve();
  await released;
  expect(told).toEqual(['released']);
  // One whose file is still under way is not begun a second time.
  persistence.refresh(live);
  await settle();
  expect(copies).toHaveLength(1);
  disk.resolve();
  await done;
  await persistence.release(live.spec.id);
});

test('a guest that stands by is copied, one that moves is not, nor one of an earlier version', () => {
  const running = { phase: { kind: 'running' }, copiedStandingBy: true } as const;
  const earlier = { ...running, copiedStandingBy: false };
  const arriving = { ...running, phase: { kind: 'incoming' } } as const;
  const states = [undefined, 'standing-by', 'moving'] as const;
  expect(states.map((state) => mayCopy(running, state))).toEqual([true, true, false]);
  expect(states.map((state) => mayCopy(earlier, state))).toEqual([true, false, false]);
  expect(states.map((state) => mayCopy(arriving, state))).toEqual([false, false, false]);
});
