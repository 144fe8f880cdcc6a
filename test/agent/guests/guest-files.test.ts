/** What removing a guest's files takes along. */
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { GuestFiles } from '../../../src/agent/guests/guest-files.ts';
import type { ImageStore } from '../../../src/images/index.ts';
import { tinySpec } from '../../lab/tiny-guest.ts';

const spec = { ...tinySpec(), overlayStorage: 'memory' as const };
let root: string;
let files: GuestFiles;

beforeEach(async () => {
  root = await mkdtemp('/dev/shm/files-');
  vi.stubEnv('XDG_RUNTIME_DIR', root);
  const base = join(root, 'base.raw');
  await writeFile(base, Buffer.alloc(1 << 20));
  const images = { verify: async () => undefined, path: () => base };
  files = new GuestFiles(root, join(root, 'guests'), images as unknown as ImageStore);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

const overlays = () => readdir(join(root, 'sojourn-overlays'));

test('overlays in memory of which no record was made go with the guest', async () => {
  const [disk] = await files.prepare(spec, 'empty');
  expect(disk?.overlayPath).toContain(join(root, 'sojourn-overlays'));
  await files.remove(spec, []);
  expect(await overlays()).toEqual([]);
  await expect(readdir(files.directory(spec))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('those of other guests stay', async () => {
  const other = { ...spec, id: '00000000-0000-4000-8000-000000000002' };
  const [kept] = await files.prepare(other, 'empty');
  await files.prepare(spec, 'empty');
  await files.remove(spec, []);
  expect(await overlays()).toHaveLength(1);
  await files.remove(
    other,
    [kept].flatMap((disk) => disk ?? []),
  );
});

test('a folder that is open to others is not ours, and nothing is removed there', async () => {
  const [disk] = await files.prepare(spec, 'empty');
  const overlay = disk?.overlayPath ?? '';
  await chmod(join(root, 'sojourn-overlays'), 0o755);
  await files.remove(spec, []);
  expect(await readdir(dirname(overlay))).toEqual([basename(overlay)]);
});
