import { afterEach, expect, test } from 'vitest';
import { HandoffLab } from './handoff-lab.ts';

let lab: HandoffLab | undefined;
afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

test('a guest that writes to its disk moves with memory and disk', async () => {
  lab = await HandoffLab.open();
  await lab.console.run('mknod /tmp/x p; echo hello > /tmp/memory');
  await lab.console.run('dd if=/dev/urandom of=/dev/vda bs=1M count=8 2>/dev/null; sync');
  lab.console.send(
    '(i=0; while true; do i=$((i+1)); echo $i | dd of=/dev/vda bs=512 seek=$((20000+i)) conv=fsync 2>/dev/null; sleep 0.05; done) &',
  );
  const result = await lab.handOff();
  expect(result.reason).toBeUndefined();
  expect(result.outcome).toBe('handed-over');
  console.log(result, JSON.stringify(lab.progress.at(-1)));
}, 60_000);
