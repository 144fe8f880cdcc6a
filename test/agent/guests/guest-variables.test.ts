/** A UEFI guest's own variables at one place: kept over stops, new where it arrives, gone when it is. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GuestFiles } from '../../../src/agent/guests/guest-files.ts';
import { findFirmware } from '../../../src/guest/index.ts';
import { ImageStore } from '../../../src/images/index.ts';
import { tinySpec } from '../../lab/tiny-guest.ts';

const spec = tinySpec();
const template = Buffer.alloc(4096, 0xff);
let root: string;
let files: GuestFiles;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'variables-'));
  files = new GuestFiles(root, join(root, 'guests'), new ImageStore(join(root, 'images')));
  for (const name of ['code', 'template']) await writeFile(join(root, name), template);
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

async function prepare(content: 'kept' | 'empty'): Promise<string> {
  const candidate = { code: join(root, 'code'), variables: join(root, 'template') };
  const [firmware] = await findFirmware('x86_64', [{ ...candidate, format: 'raw' }]);
  if (firmware === undefined) throw new Error('no firmware');
  return files.prepareVariables(spec, firmware, content);
}

test('a first start makes them, later ones keep what the guest wrote', async () => {
  const path = await prepare('kept');
  expect(await readFile(path)).toEqual(template);
  await writeFile(path, Buffer.alloc(4096, 7));
  expect(await prepare('kept')).toBe(path);
  expect(await readFile(path)).toEqual(Buffer.alloc(4096, 7));
});

test('a guest that arrives finds none of an earlier stay, because it brings its own along', async () => {
  await writeFile(await prepare('kept'), 'of an earlier stay');
  expect(await readFile(await prepare('empty'))).toEqual(template);
});

test('they go with the guest', async () => {
  const path = await prepare('kept');
  await files.remove(spec, []);
  await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
});
