import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { probeQemu } from '../../src/guest/index.ts';
import { withQemu } from '../../src/guest/qemu-session.ts';
import { missingFeatures, type QmpSchema, qmpSchema } from '../../src/guest/qmp-schema.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'probe-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function script(name: string, text: string, mode = 0o755): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, mode);
  return path;
}

test('the installed QEMU is told as it is', async () => {
  const qemu = await probeQemu();
  expect(qemu.version[0]).toBeGreaterThanOrEqual(9);
  expect(qemu.machines).toEqual(expect.arrayContaining(['q35', 'pc-q35-9.2']));
  expect(qemu.cpus).toContain('Nehalem');
  // TCG has no AVX-512, so models with it do not run in full.
  expect(qemu.cpus).not.toContain('Skylake-Server');
  expect(qemu.cpuFeatures).toContain('aes');
  expect(qemu.accelerators).toContain('tcg');
});

test.each([
  ['is not installed', 'qemu-missing', async () => join(directory, 'nowhere')],
  ['may not be run', 'qemu-missing', () => script('locked', 'true', 0o644)],
  [
    'is too old',
    'qemu-too-old',
    () => script('old', 'echo QEMU emulator version 7.2.15 "(Debian)"'),
  ],
  ['is no QEMU', 'qemu-failed', () => script('other', 'echo hello')],
  [
    'dies',
    'qemu-failed',
    () =>
      script(
        'dies',
        '[ "$1" = --version ] && exec echo QEMU emulator version 10.0.2; [ "$1" = -accel ] && exec echo tcg; echo broken library >&2; exit 1',
      ),
  ],
])('a QEMU that %s is %s', async (_, code, binary) => {
  await expect(probeQemu(await binary())).rejects.toMatchObject({ code, kind: 'requirement' });
});

test('a QEMU that dies is quoted', async () => {
  await expect(probeQemu(join(directory, 'dies'))).rejects.toThrow('broken library');
});

test('what a QEMU was built without is found by its own description', async () => {
  const schema = await withQemu(
    'qemu-system-x86_64',
    ['-M', 'none', '-nodefaults', '-display', 'none'],
    20_000,
    (qmp) => qmp.query(qmpSchema, 'query-qmp-schema'),
  );
  expect(missingFeatures(schema)).toEqual([]);
  const without = (name: string) =>
    missingFeatures(strip(schema, name)).map((feature) => feature.name);
  expect(without('switchover-ack')).toEqual(['switchover-ack']);
  expect(without('reconnect-ms')).toEqual(['netdev-stream-reconnect']);
  expect(without('blockdev-mirror')).toEqual(['blockdev-mirror']);
  expect(missingFeatures([])).toHaveLength(9);
});

/** The schema without the entry, or member of an entry, of that name. */
function strip(schema: QmpSchema, name: string): QmpSchema {
  return schema
    .filter((entry) => entry.name !== name)
    .map((entry) => ({
      ...entry,
      ...(entry.members && { members: entry.members.filter((member) => member.name !== name) }),
    }));
}
