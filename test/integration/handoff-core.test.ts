/** A handoff between two real QEMUs, undisturbed. */
import { afterEach, describe, expect, test } from 'vitest';
import { HandoffLab } from './handoff-lab.ts';

let lab: HandoffLab | undefined;
afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

/** Appends numbered records to the disk, each flushed, as fast as the disk takes them. */
const WRITER = `i=0; while true; do i=$((i+1)); printf '%-511s\\n' $i | dd of=/dev/vda bs=512 seek=$((i-1)) conv=notrunc,fsync 2>/dev/null; done &`;
const MIB = 1024 * 1024;

describe('a guest that writes all the time', () => {
  test('arrives with its memory and every record it has written', async () => {
    lab = await HandoffLab.open({ diskBytes: 64 * MIB });
    await lab.console.run('echo remembered > /tmp/memory; n=42');
    const random = 'dd if=/dev/urandom of=/dev/vda bs=1M seek=32 count=8 conv=fsync 2>/dev/null';
    await lab.console.run(random);
    const md5 = 'dd if=/dev/vda bs=1M skip=32 count=8 2>/dev/null | md5sum';
    const before = await lab.console.run(md5);
    lab.console.send(WRITER);

    const result = await lab.handOff();
    expect(result.reason).toBeUndefined();
    expect(result).toMatchObject({ outcome: 'handed-over', guest: 'elsewhere', epoch: 2 });
    expect(lab.source.process.signalCode).toBe('SIGKILL');
    expect(await lab.incoming?.running()).toBe(true);
    expect(lab.sourceJournal.types).toEqual([
      'handoff-started',
      'handoff-sealed',
      'handoff-released',
    ]);
    expect(lab.destinationJournal.types).toEqual(['incoming-started', 'incoming-claimed']);
    expect(lab.datapath).toEqual(['begin', 'commit 2', 'activated 2']);

    await lab.follow();
    expect(await lab.console.run('cat /tmp/memory; echo $n')).toBe('remembered\n42');
    await lab.console.run('kill %1; wait; sync; echo 3 > /proc/sys/vm/drop_caches');
    expect(await lab.console.run(md5)).toBe(before);
    // Read back past the cache: every number from 1 to the last one, in its place.
    const records = await lab.console.run(
      "dd if=/dev/vda bs=512 count=4000 2>/dev/null | grep -a '^[1-9]' | awk '$1 != NR { bad = 1 } END { print NR, bad + 0 }'",
    );
    const [count, bad] = records.split(' ').map(Number);
    expect(bad).toBe(0);
    expect(count).toBeGreaterThan(10);
  }, 90_000);

  test('leaves the same disk at both places when it is at rest', async () => {
    lab = await HandoffLab.open();
    await lab.console.run('dd if=/dev/urandom of=/dev/vda bs=1M count=12 conv=fsync 2>/dev/null');
    await lab.console.run(
      'dd if=/dev/zero of=/dev/vda bs=1M seek=3 count=2 conv=fsync 2>/dev/null',
    );
    await lab.console.run('dd if=/dev/urandom of=/dev/vda bs=4k seek=9000 count=3 conv=fsync');
    const { outcome } = await lab.handOff();
    expect(outcome).toBe('handed-over');
    const { source, incoming } = lab;
    if (incoming === undefined) throw new Error('nobody received it');
    await incoming.qmp.execute('stop');
    const ended = new Promise((resolve) => incoming.process.once('exit', resolve));
    await incoming.qmp.execute('quit');
    await ended;
    expect(await lab.diskDigest(incoming)).toBe(await lab.diskDigest(source));
  }, 90_000);

  test('shows its progress phase by phase', async () => {
    lab = await HandoffLab.open({ delayMs: 5 });
    const { phases } = await lab.handOff();
    const names = ['preflight', 'prepare', 'disk', 'memory', 'switchover', 'seal', 'release'];
    expect(phases.map(({ name }) => name)).toEqual(names);
    for (const [index, phase] of phases.entries()) {
      expect(phase.startedAt).toBe(phases[index - 1]?.endedAt ?? phase.startedAt);
    }
    const memory = lab.progress.filter(({ phase }) => phase === 'memory');
    expect(memory.at(-1)?.bytesDone).toBeGreaterThan(20 * MIB);
    expect(memory.at(-1)?.residueBytes).not.toBeNull();
  }, 90_000);
});
