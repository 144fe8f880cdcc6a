/** Guests that stand by, with real QEMUs and real sessions. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removePersistRemains } from '../../src/guest/index.ts';
import { Cleanup, Relay } from '../transport/harness.ts';
import type { HandoffLab, LabQemu } from './handoff-lab.ts';
import { Standing } from './standing.ts';
import { openTransportLab, type TransportLab } from './transport-lab.ts';

const MIB = 1024 * 1024;
const cleanup = new Cleanup();
let places: TransportLab;
beforeAll(async () => {
  places = await openTransportLab(cleanup);
  const { lab } = places;
  await lab.console.run('dd if=/dev/urandom of=/dev/vda bs=1M count=4 conv=fsync 2>/dev/null');
}, 60_000);
afterAll(() => cleanup.run());

/** The guest works where it is, memory and disk, and nothing of the handoff is left in its QEMU. */
async function expectSourceWorks(): Promise<void> {
  const { lab } = places;
  expect(await lab.source.running()).toBe(true);
  const write = 'echo alive | dd of=/dev/vda bs=512 seek=10000 conv=notrunc,fsync 2>/dev/null';
  await lab.console.run(`${write} && dd if=/dev/vda bs=512 skip=10000 count=1 | grep alive`);
  expect(await lab.source.qmp.execute('query-block-jobs')).toEqual([]);
}

/** Returns when a copy of the disk is being made that does not end by itself. */
async function beginCopy({ source, directory }: HandoffLab): Promise<void> {
  const filename = join(directory, 'copy.qcow2');
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', filename, '64M']);
  const id = 'disk0-persist';
  const target = { driver: 'qcow2', file: { driver: 'file', filename } };
  await source.qmp.execute('blockdev-add', { ...target, 'node-name': id });
  const job = { 'job-id': id, device: 'disk0-overlay', target: id, sync: 'top', speed: 1 };
  const running = source.qmp.waitFor('JOB_STATUS_CHANGE', ({ data }) => data.status === 'running');
  await source.qmp.execute('blockdev-backup', { ...job, 'auto-dismiss': false });
  await running;
}

const ended = (qemu: LabQemu | undefined) =>
  qemu?.process.exitCode !== null || qemu.process.signalCode !== null;

describe('a guest that stands by', () => {
  test('goes on at the source when it is disarmed, and nothing is left there', async () => {
    const { lab } = places;
    const standing = new Standing(lab);
    await standing.bursts(2);
    expect(await lab.source.running()).toBe(true);
    expect(lab.sourceJournal.types).toEqual(['handoff-started']);
    const result = await standing.disarm();
    expect(result).toMatchObject({ outcome: 'stayed', guest: 'running', epoch: 1 });
    expect(result.reason?.code).toBe('handoff-cancelled');
    await expectSourceWorks();
    await expect.poll(() => ended(lab.incoming)).toBe(true);
    expect(lab.sourceJournal.types.at(-1)).toBe('handoff-aborted');
    expect(lab.destinationJournal.types.at(-1)).toBe('incoming-refused');
  }, 30_000);

  test('goes on at the source when its QEMU over there dies', async () => {
    const { lab } = places;
    const standing = new Standing(lab);
    await standing.bursts(1);
    lab.incoming?.kill();
    const result = await standing.done;
    expect(result).toMatchObject({ outcome: 'stayed', guest: 'running', epoch: 1 });
    await expectSourceWorks();
  }, 30_000);

  test('does not stop, nor does anything else, while nobody reads its stream', async () => {
    const { lab, relay } = places;
    const standing = new Standing(lab);
    await standing.bursts(1);
    relay.stall();
    try {
      await lab.console.run(
        'dd if=/dev/urandom of=/tmp/work bs=1M count=8 2>/dev/null; rm /tmp/work',
      );
      expect(await lab.source.running()).toBe(true);
    } finally {
      relay.resume();
    }
    await standing.disarm();
    await expectSourceWorks();
  }, 30_000);

  test('survives cuts and a new address without being sent again, and is handed over', async () => {
    const { lab, relay, dialer, port, near } = places;
    await lab.console.run('echo kept > /tmp/memory');
    let released = 0;
    const standing = new Standing(lab, {
      releaseDisks: async () => {
        released += 1;
        await removePersistRemains(lab.source.qmp);
      },
    });
    await standing.bursts(2);
    const filled = near.bytes.sent;
    expect(filled).toBeGreaterThan(16 * MIB);
    // Away for a while: a new connection is refused, as behind a network that is gone.
    relay.refuse = true;
    relay.cut();
    await delay(1_500);
    expect(await lab.source.running()).toBe(true);
    // Back at another address, which the old one does not lead to any more.
    const other = await Relay.start(port);
    cleanup.add(() => other.close());
    dialer.setAddresses(['127.0.0.1'], other.port);
    await lab.console.run('echo later > /tmp/later');
    await standing.bursts(2);
    // A NAT that forgot: the connection is there, and silent for good.
    other.forget();
    await standing.bursts(2);
    expect(near.bytes.sent - filled).toBeLessThan(4 * MIB);
    // A copy of the disk to this place's own is under way, and would take days.
    await beginCopy(lab);
    const result = await standing.trigger();
    expect(result.reason).toBeUndefined();
    expect(result).toMatchObject({ outcome: 'handed-over', epoch: 2 });
    expect(released).toBe(1);
    expect(result.bytesAfterTrigger).toBeLessThan(4 * MIB);
    await lab.follow();
    expect(await lab.console.run('cat /tmp/memory /tmp/later')).toBe('kept\nlater');
    expect(lab.datapath.slice(-3)).toEqual(['begin', 'commit 2', 'activated 2']);
    expect(existsSync(`${lab.source.directory}/memory.sock`)).toBe(false);
  }, 90_000);
});
