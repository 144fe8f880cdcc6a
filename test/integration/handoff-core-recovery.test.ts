/** `kill -9` of the agent at either end, in every phase; then what recovery makes of it. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { guestPaths } from '../../src/guest/runtime.ts';
import { type HandoffResult, recoverSourceHandoff } from '../../src/handoff/index.ts';
import { loadOrCreateIdentity, type Session } from '../../src/transport/index.ts';
import { Cleanup, makePlaces, startDialer, startListener } from '../transport/harness.ts';
import { HandoffLab } from './handoff-lab.ts';
import { FileJournal, type ProcessOptions } from './handoff-source-process.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());
const program = fileURLToPath(new URL('handoff-source-process.ts', import.meta.url));

/** Runs the source in a process and kills it as soon as it enters the phase. */
async function killIn(phase: string, options: ProcessOptions): Promise<void> {
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanup.add(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== phase) continue;
    child.kill('SIGKILL');
    break;
  }
  await exited;
}

async function open() {
  const directory = await mkdtemp(join(tmpdir(), 'hor-'));
  cleanup.add(() => rm(directory, { recursive: true }));
  const places = await makePlaces();
  cleanup.add(() => places.remove());
  const identity = join(directory, 'identity');
  const device = await loadOrCreateIdentity(identity);
  const lab = await HandoffLab.open();
  cleanup.add(() => lab.close());
  const { port } = await startListener(places, cleanup, {
    isPinned: (id) => id === device.id,
    onSession: (session) => lab.destination.serve(session),
  });
  const options: ProcessOptions = {
    identity,
    peer: places.site.id,
    port,
    qmp: guestPaths(lab.source.directory).qmpSocket,
    directory: lab.source.directory,
    journal: join(directory, 'journal'),
    handoffId: randomUUID(),
    spec: lab.spec,
  };
  const recover = async (): Promise<HandoffResult | undefined> => {
    await lab.source.connect();
    const dialed = Promise.withResolvers<Session>();
    startDialer({ ...places, device }, cleanup, port, { onSession: dialed.resolve });
    return recoverSourceHandoff({
      ...lab.sourceOptions({ handoffId: options.handoffId }),
      peer: places.site.id,
      journal: new FileJournal(options.journal),
      connect: () => dialed.promise,
    });
  };
  // QEMU serves one QMP client at a time: the process gets the guest's.
  lab.source.qmp.close();
  return { lab, options, recover };
}

describe('the source agent is killed', () => {
  test.each(['prepare', 'disk', 'memory', 'switchover'])(
    'in %s: the guest goes on there',
    async (phase) => {
      const { lab, options, recover } = await open();
      await killIn(phase, options);
      const result = await recover();
      // Killed before its first record was written, there is nothing to recover.
      if (result !== undefined)
        expect(result).toMatchObject({ outcome: 'stayed', guest: 'running' });
      else expect(phase).toBe('prepare');
      expect(await lab.source.running()).toBe(true);
      await lab.console.run('echo alive | dd of=/dev/vda conv=fsync && dd if=/dev/vda count=1');
      expect(await lab.source.qmp.execute('query-block-jobs')).toEqual([]);
      const nodes = JSON.stringify(await lab.source.qmp.execute('query-named-block-nodes'));
      expect(nodes).not.toContain('handoff-');
      while (
        lab.incoming !== undefined &&
        lab.destinationJournal.types.at(-1) !== 'incoming-refused'
      ) {
        await delay(20);
      }
      expect(lab.destinationJournal.types).not.toContain('incoming-claimed');
    },
    60_000,
  );

  test('right after its seal: the guest runs in one place, and both know where', async () => {
    const { lab, options, recover } = await open();
    await killIn('seal', options);
    const result = await recover();
    // The QEMU of a guest that was refused has ended, or is about to.
    const there = (await lab.incoming?.running().catch(() => false)) === true;
    expect(there).toBe(lab.destinationJournal.types.at(-1) === 'incoming-claimed');
    if (there) {
      // Killed so late that its copy had ended, there is nothing to recover.
      if (result !== undefined) expect(result).toMatchObject({ outcome: 'handed-over' });
      expect(lab.source.process.signalCode).toBe('SIGKILL');
    } else expect(await lab.source.running()).toBe(true);
  }, 60_000);
});

describe('the destination agent is restarted', () => {
  test('with a complete guest: the repeated seal finds it', async () => {
    const lab = await HandoffLab.open();
    cleanup.add(() => lab.close());
    lab.link.lose('handoff.seal>');
    const handoff = lab.handOff();
    while (!lab.progress.some(({ phase }) => phase === 'in-doubt')) await delay(20);
    const { incoming } = lab;
    const started = lab.destinationJournal.records[0];
    if (incoming === undefined || started === undefined) throw new Error('nothing was prepared');
    const again = lab.makeDestination();
    const { handoffId, epoch, peer: from } = started;
    const guest = { qmp: incoming.qmp, directory: incoming.directory };
    const found = await again.recover({ handoffId, epoch, from, spec: lab.spec }, guest);
    expect(found).toBe('waiting');
    again.serve(lab.sessions.far);
    lab.link.find();
    expect(await handoff).toMatchObject({ outcome: 'handed-over', epoch: 2 });
    expect(await incoming.running()).toBe(true);
  }, 60_000);

  test('with a guest that was still arriving: it is refused', async () => {
    const lab = await HandoffLab.open();
    cleanup.add(() => lab.close());
    const cancel = new AbortController();
    const reached = new Promise<void>((resolve) => {
      lab.onPhase = (phase) => phase === 'memory' && resolve();
    });
    lab.link.stall('handoff.memory');
    const handoff = lab.handOff({ signal: cancel.signal });
    await reached;
    const started = lab.destinationJournal.records[0];
    if (lab.incoming === undefined || started === undefined) throw new Error('nothing prepared');
    const { handoffId, epoch, peer: from } = started;
    const guest = { qmp: lab.incoming.qmp, directory: lab.incoming.directory };
    const request = { handoffId, epoch, from, spec: lab.spec };
    expect(await lab.makeDestination().recover(request, guest)).toBe('nothing');
    expect(lab.destinationJournal.types.at(-1)).toBe('incoming-refused');
    expect(lab.incoming.process.signalCode).toBe('SIGKILL');
    cancel.abort();
    expect(await handoff).toMatchObject({ outcome: 'stayed', guest: 'running' });
  }, 60_000);
});
