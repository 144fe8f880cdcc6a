/**
 * Measures the pause (STOP at the source to RESUME at the destination, by QEMU's own time stamps) of handoffs, and of
 * plain QEMU migrations of the same guest with its disk mirrored over NBD, in turn:
 *
 *   node test/integration/handoff-pause.ts [ROUNDS]
 */
import { join } from 'node:path';
import type { QmpClient, QmpEvent } from '../../src/guest/index.ts';
import { HandoffLab } from './handoff-lab.ts';

const rounds = Number(process.argv[2] ?? 3);

const eventOf = (qmp: QmpClient, name: string, accept?: (event: QmpEvent) => boolean) =>
  qmp.waitFor(name, accept, { timeoutMs: 60_000 });

async function plain(lab: HandoffLab): Promise<number> {
  const { source } = lab;
  const target = await lab.start('plain', true, false);
  const nbd = join(target.directory, 'nbd');
  const capability = (name: string) => ({ capability: name, state: true });
  await target.qmp.execute('migrate-set-capabilities', { capabilities: [capability('events')] });
  await target.qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: nbd } } });
  const add = { type: 'nbd', id: 'e', 'node-name': 'disk0', name: 'disk0', writable: true };
  await target.qmp.execute('block-export-add', add);
  await source.qmp.execute('blockdev-add', {
    driver: 'nbd',
    'node-name': 'plain',
    server: { type: 'unix', path: nbd },
    export: 'disk0',
  });
  const ready = eventOf(source.qmp, 'BLOCK_JOB_READY');
  await source.qmp.execute('blockdev-mirror', {
    'job-id': 'plain',
    device: 'disk0',
    target: 'plain',
    sync: 'top',
  });
  await ready;
  await source.qmp.execute('migrate-set-capabilities', {
    capabilities: [capability('events'), capability('pause-before-switchover')],
  });
  const uri = `unix:${join(target.directory, 'm')}`;
  await target.qmp.execute('migrate-incoming', { uri });
  const status = (name: string) => (event: QmpEvent) => event.data.status === name;
  const paused = eventOf(source.qmp, 'MIGRATION', status('pre-switchover'));
  const stopped = eventOf(source.qmp, 'STOP');
  const resumed = eventOf(target.qmp, 'RESUME');
  const received = eventOf(target.qmp, 'MIGRATION', status('completed'));
  received.then(() => target.qmp.execute('nbd-server-stop')).catch(() => undefined);
  await source.qmp.execute('migrate', { uri });
  await paused;
  const finished = eventOf(source.qmp, 'BLOCK_JOB_COMPLETED');
  await source.qmp.execute('block-job-cancel', { device: 'plain' });
  await finished;
  await source.qmp.execute('migrate-continue', { state: 'pre-switchover' });
  return (await resumed).timeMs - (await stopped).timeMs;
}

async function ours(lab: HandoffLab): Promise<{ pause: number; parts: string }> {
  const stopped = eventOf(lab.source.qmp, 'STOP');
  const resumed = Promise.withResolvers<QmpEvent>();
  lab.onIncoming = (qemu) => eventOf(qemu.qmp, 'RESUME').then(resumed.resolve, resumed.reject);
  const { times, outcome, reason } = await lab.handOff();
  if (outcome !== 'handed-over') throw new Error(`stayed: ${reason?.message}`);
  const began = (await stopped).timeMs;
  const parts = Object.entries(times).map(([name, at]) => `${name} ${(at - began).toFixed(0)}`);
  return { pause: (await resumed.promise).timeMs - began, parts: parts.join(', ') };
}

for (let round = 0; round < rounds; round += 1) {
  for (const kind of ['plain', 'ours'] as const) {
    const lab = await HandoffLab.open({ memoryMiB: 256 });
    try {
      await lab.console.run('dd if=/dev/urandom of=/dev/vda bs=1M count=8 conv=fsync 2>/dev/null');
      if (kind === 'plain') console.log(`plain ${(await plain(lab)).toFixed(1)} ms`);
      else {
        const { pause, parts } = await ours(lab);
        console.log(`ours  ${pause.toFixed(1)} ms   (from STOP, ms: ${parts})`);
      }
    } finally {
      await lab.close();
    }
  }
}
