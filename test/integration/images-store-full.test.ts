/** A real file system without room, in a mount namespace of its own. */
import { mkdtempSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';

const module = join(import.meta.dirname, '../../src/images/index.ts');
let root: string;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'store-full-'));
  await mkdir(join(root, 'store'));
  await mkdir(join(root, 'source'));
  await writeFile(join(root, 'source/disk'), Buffer.alloc(4 * 1024 * 1024, 1));
  await writeFile(
    join(root, 'source/image.json'),
    JSON.stringify({
      name: 'large',
      architecture: 'x86_64',
      boot: { kind: 'bios' },
      disks: [{ name: 'disk0', base: { file: 'disk' }, baseFormat: 'raw' }],
      defaults: { memoryMiB: 128, vcpus: 1 },
    }),
  );
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

test('an image that does not fit is refused in words, and nothing of it stays', async () => {
  const program = `
    import { readdirSync } from 'node:fs';
    import { ImageStore } from ${JSON.stringify(module)};
    const error = await new ImageStore('store').import('source').then(() => undefined, (e) => e);
    console.log(JSON.stringify({ code: error.code, message: error.message, left: readdirSync('store/sha256') }));`;
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const { stdout } = await execa(
    'unshare',
    [
      '--mount',
      ...asRoot,
      'sh',
      '-c',
      'mount -t tmpfs -o size=2m tmpfs store && exec "$0" --input-type=module-typescript -e "$1"',
      process.execPath,
      program,
    ],
    { cwd: root },
  );
  expect(JSON.parse(stdout)).toEqual({
    code: 'image-store-full',
    message: expect.stringContaining('4194304 bytes did not fit'),
    left: [],
  });
});
