import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import {
  appendFile,
  chmod,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ImageStore } from '../../src/images/index.ts';

const kernel = Buffer.from('a kernel');
const disk = Buffer.alloc(3 * 1024 * 1024, 0);
disk.write('data in the middle', 1_500_000);

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

let root: string;
let source: string;
let store: ImageStore;
const inStore = (...path: string[]) => join(root, 'store', ...path);

function description(): Record<string, unknown> & { boot: Record<string, unknown> } {
  return {
    name: 'small',
    architecture: 'x86_64',
    boot: { kind: 'kernel', kernel: { file: 'vmlinuz' }, commandLine: 'quiet' },
    disks: [{ name: 'disk0', base: { file: 'data.raw' }, baseFormat: 'raw' }],
    defaults: { memoryMiB: 128, vcpus: 1 },
  };
}

async function describeAs(manifest: unknown): Promise<void> {
  await writeFile(join(source, 'image.json'), JSON.stringify(manifest));
}

/** What an import that failed must not leave: blobs aside, which later imports share. */
async function leftovers(): Promise<string[]> {
  const names = await readdir(inStore(), { recursive: true }).catch(() => []);
  return names.filter((name) => name.endsWith('.partial') || name.endsWith('.json'));
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'images-'));
  source = join(root, 'source');
  await mkdir(source);
  await writeFile(join(source, 'vmlinuz'), kernel);
  await writeFile(join(source, 'data.raw'), disk);
  await describeAs(description());
  store = new ImageStore(inStore());
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

describe('import', () => {
  test('names files by content and keeps the manifest', async () => {
    const image = await store.import(source);
    expect(image.boot).toEqual({
      kind: 'kernel',
      kernel: { digest: sha256(kernel), bytes: kernel.length },
      commandLine: 'quiet',
    });
    expect(image.disks).toEqual([
      {
        name: 'disk0',
        base: { digest: sha256(disk), bytes: disk.length },
        baseFormat: 'raw',
        virtualBytes: disk.length,
      },
    ]);
    expect(await readFile(store.path(sha256(disk)))).toEqual(disk);
    expect((await stat(store.path(sha256(disk)))).mode & 0o777).toBe(0o400);
    expect(await store.list()).toEqual([image]);
    expect(await store.find('small')).toEqual(image);
    expect(await store.find(sha256(disk))).toEqual(image);
  });

  test('keeps the holes of a sparse file', async () => {
    await truncate(join(source, 'data.raw'), 64 * 1024 * 1024);
    const image = await store.import(source);
    const stored = await stat(store.path(image.disks[0]?.base.digest ?? ''));
    expect(stored.size).toBe(64 * 1024 * 1024);
    expect(stored.blocks * 512).toBeLessThan(8 * 1024 * 1024);
  });

  test('takes the path of image.json as well, through links', async () => {
    await symlink(source, join(root, 'current'));
    const image = await store.import(join(root, 'current', 'image.json'));
    expect(image.name).toBe('small');
  });

  test('reports progress up to the total', async () => {
    const seen: { bytesDone: number; bytesTotal: number }[] = [];
    await store.import(source, { onProgress: (progress) => seen.push(progress) });
    const total = kernel.length + disk.length;
    expect(seen.at(-1)).toEqual({ bytesDone: total, bytesTotal: total });
    expect(seen.length).toBeGreaterThan(2);
  });

  test('replaces an image of the same name, and the old files stay', async () => {
    await store.import(source);
    await writeFile(join(source, 'vmlinuz'), 'another kernel');
    const second = await store.import(source);
    expect(await store.list()).toEqual([second]);
    await store.verify(sha256(kernel));
  });

  test('refuses content that is not what image.json promises, and leaves nothing', async () => {
    const manifest = description();
    manifest.boot.kernel = { file: 'vmlinuz', digest: sha256(disk) };
    await describeAs(manifest);
    await expect(store.import(source)).rejects.toMatchObject({ code: 'image-digest-wrong' });
    expect(await leftovers()).toEqual([]);
    await expect(store.find('small')).rejects.toMatchObject({ code: 'image-unknown' });
  });

  test('an interrupted import leaves nothing', async () => {
    const stop = new AbortController();
    const importing = store.import(source, {
      signal: stop.signal,
      onProgress: ({ bytesDone }) => bytesDone > 1024 * 1024 && stop.abort(),
    });
    await expect(importing).rejects.toMatchObject({ name: 'AbortError' });
    expect(await leftovers()).toEqual([]);
    expect((await store.import(source)).name).toBe('small');
  });

  test('the next import removes what a crash left', async () => {
    await mkdir(inStore('sha256'), { recursive: true });
    await writeFile(inStore('sha256', 'half.partial'), 'half a file');
    await store.import(source);
    expect(await leftovers()).toEqual(['small.json']);
  });

  test('two imports at once do not disturb each other', async () => {
    const images = await Promise.all([store.import(source), store.import(source)]);
    expect(images[0]).toEqual(images[1]);
    expect(await leftovers()).toEqual(['small.json']);
  });

  test('a missing folder, image.json or file is named', async () => {
    const missing = { code: 'image-source-missing' };
    await expect(store.import(join(root, 'nowhere'))).rejects.toMatchObject(missing);
    await rm(join(source, 'data.raw'));
    await expect(store.import(source)).rejects.toMatchObject({
      ...missing,
      message: expect.stringContaining('data.raw'),
    });
    await rm(join(source, 'image.json'));
    await expect(store.import(source)).rejects.toMatchObject(missing);
  });
});

describe('a wrong manifest', () => {
  const wrong: [string, (manifest: ReturnType<typeof description>) => unknown, RegExp][] = [
    ['a name with a slash', (m) => ({ ...m, name: '../x' }), /name/],
    ['an unknown field', (m) => ({ ...m, colour: 'red' }), /colour/],
    ['no boot', (m) => ({ ...m, boot: undefined }), /boot/],
    ['an absolute file', (m) => withKernel(m, { file: '/etc/passwd' }), /inside the folder/],
    ['a file above', (m) => withKernel(m, { file: '../secret' }), /inside the folder/],
    ['a link that leads out', (m) => withKernel(m, { file: 'link' }), /outside/],
    ['a wrong size', (m) => withDisk(m, { virtualBytes: 512 }), /3145728 bytes, not 512/],
    ['a qcow2 that is none', (m) => withDisk(m, { baseFormat: 'qcow2' }), /no qcow2 header/],
    [
      'a raw disk of odd size',
      (m) => withDisk(m, { base: { file: 'vmlinuz' } }),
      /multiple of 512/,
    ],
    ['a short digest', (m) => withKernel(m, { file: 'vmlinuz', digest: 'ab' }), /digest/],
    ['two disks of one name', (m) => ({ ...m, disks: [...disks(m), ...disks(m)] }), /two disks/],
    ['something else', () => [], /object/],
  ];
  const withKernel = (m: ReturnType<typeof description>, file: unknown) => ({
    ...m,
    boot: { ...m.boot, kernel: file },
  });
  const disks = (m: ReturnType<typeof description>) => m.disks as Record<string, unknown>[];
  const withDisk = (m: ReturnType<typeof description>, change: object) => ({
    ...m,
    disks: [{ ...disks(m)[0], ...change }],
  });

  test.each(wrong)('%s', async (_, change, why) => {
    await writeFile(join(root, 'secret'), 'not for others');
    await symlink(join(root, 'secret'), join(source, 'link'));
    await describeAs(change(description()));
    await expect(store.import(source)).rejects.toMatchObject({
      code: 'image-manifest-wrong',
      message: expect.stringMatching(why),
    });
    expect(await leftovers()).toEqual([]);
  });

  test('no JSON, or too much of it', async () => {
    await writeFile(join(source, 'image.json'), '{"name": ');
    await expect(store.import(source)).rejects.toThrow('not JSON');
    await writeFile(join(source, 'image.json'), ' '.repeat(65 * 1024));
    await expect(store.import(source)).rejects.toThrow('larger than');
  });

  test('in the store itself', async () => {
    await store.import(source);
    await writeFile(inStore('small.json'), '{}');
    const wrongManifest = { code: 'image-manifest-wrong' };
    await expect(store.find('small')).rejects.toMatchObject(wrongManifest);
    await expect(store.list()).rejects.toMatchObject(wrongManifest);
  });
});

describe('qcow2 bases', () => {
  const header = (change: (buffer: Buffer) => void = () => {}) => {
    const buffer = Buffer.alloc(512);
    buffer.writeUInt32BE(0x514649fb, 0);
    buffer.writeUInt32BE(3, 4);
    buffer.writeBigUInt64BE(10_737_418_240n, 24);
    change(buffer);
    return buffer;
  };
  const importHeader = async (content: Buffer) => {
    await writeFile(join(source, 'data.raw'), content);
    const manifest = description();
    manifest.disks = [{ name: 'disk0', base: { file: 'data.raw' }, baseFormat: 'qcow2' }];
    await describeAs(manifest);
    return await store.import(source);
  };

  test('give the size that the guest sees', async () => {
    expect((await importHeader(header())).disks[0]?.virtualBytes).toBe(10_737_418_240);
  });

  test('must not name other files', async () => {
    const backing = header((buffer) => buffer.writeBigUInt64BE(104n, 8));
    await expect(importHeader(backing)).rejects.toThrow('backing file');
    const external = header((buffer) => buffer.writeBigUInt64BE(4n, 72));
    await expect(importHeader(external)).rejects.toThrow('in another file');
    await expect(importHeader(header().subarray(0, 3))).rejects.toThrow('no qcow2 header');
  });
});

describe('verify', () => {
  /** Changes a blob behind the store's back. */
  async function damage(change: (path: string) => Promise<void>): Promise<void> {
    const path = store.path(sha256(disk));
    await chmod(path, 0o600);
    await change(path);
  }

  beforeEach(async () => {
    await store.import(source);
  });

  test('a blob as it was imported', async () => {
    expect(await store.verify(sha256(disk))).toEqual({ digest: sha256(disk), bytes: disk.length });
  });

  test('reads a blob again only when it has changed', async () => {
    let bytesRead = 0;
    const onBytes = (bytes: number) => {
      bytesRead += bytes;
    };
    await new ImageStore(inStore()).verify(sha256(disk), { onBytes });
    expect(bytesRead).toBe(0);
    await damage((path) => utimes(path, 1, 1));
    await store.verify(sha256(disk), { onBytes });
    expect(bytesRead).toBe(disk.length);
    await store.verify(sha256(disk), { onBytes });
    expect(bytesRead).toBe(disk.length);
  });

  test('a missing blob', async () => {
    await rm(store.path(sha256(disk)));
    await expect(store.verify(sha256(disk))).rejects.toMatchObject({
      kind: 'requirement',
      code: 'image-missing',
    });
    await expect(store.verify(sha256(Buffer.from('x')))).rejects.toMatchObject({
      code: 'image-missing',
    });
  });

  test('a truncated blob', async () => {
    await damage((path) => truncate(path, disk.length - 1));
    await expect(store.verify(sha256(disk))).rejects.toMatchObject({ code: 'image-digest-wrong' });
  });

  test('changed content of the same size and time', async () => {
    await damage((path) => utimes(path, 1, 1));
    await store.verify(sha256(disk));
    await damage(async (path) => {
      await writeFile(path, Buffer.alloc(disk.length, 1));
      await utimes(path, 1, 1);
    });
    await expect(store.verify(sha256(disk))).rejects.toMatchObject({ code: 'image-digest-wrong' });
  });

  test('a damaged memory of what was verified only costs time', async () => {
    await appendFile(inStore('sha256', 'verified'), 'x');
    let bytesRead = 0;
    await new ImageStore(inStore()).verify(sha256(disk), {
      onBytes: (bytes) => {
        bytesRead += bytes;
      },
    });
    expect(bytesRead).toBe(disk.length);
  });

  test('a digest that is none never becomes a path', () => {
    expect(() => store.path('../../etc/passwd')).toThrow();
  });
});

test('an empty store has no images', async () => {
  expect(await store.list()).toEqual([]);
  await expect(store.find('small')).rejects.toMatchObject({ code: 'image-unknown' });
});
