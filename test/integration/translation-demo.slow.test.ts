/** `npm run demo -- --topology translation`, as a process. */
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const DEMO = join(import.meta.dirname, '../demo/main.ts');

test('a guest moves between two sites and back, and nothing that talks to it breaks', async () => {
  // How long it is silent is compared on a machine that does nothing else.
  const { stdout, stderr } = await execa(
    process.execPath,
    [DEMO, '--topology', 'translation', '--json'],
    { reject: false, timeout: 300_000 },
  );
  const result = JSON.parse(stdout);
  expect(result, stderr).toMatchObject({
    ...{ schema: 1, topology: 'translation', wire: { homePackets: 0 } },
    baseline: { plainQemuBlackoutMs: expect.any(Number) },
    handoffs: [
      { from: 'site-a', to: 'site-b', tcpBroken: 0, diskRecordsOk: true },
      { from: 'site-b', to: 'site-a', tcpBroken: 0, diskRecordsOk: true },
    ],
  });
  for (const packets of Object.values(result.wire.mobilePacketsOf))
    expect(packets).toBeGreaterThan(1000);
});
