import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type NbdBackend,
  NbdClient,
  NbdErrno,
  NbdRequestError,
  NbdServer,
} from '../../src/handoff/nbd/index.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
let directory: string;
let cleanups: (() => Promise<void> | void)[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'nbd-'));
  cleanups = [() => rm(directory, { recursive: true })];
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

class MemoryDisk implements NbdBackend {
  readonly content: Buffer;
  readonly calls: string[] = [];

  constructor(size: number) {
    this.content = Buffer.alloc(size);
  }
  get size(): number {
    return this.content.length;
  }
  async read(offset: number, length: number): Promise<Buffer> {
    return Buffer.from(this.content.subarray(offset, offset + length));
  }
  write(offset: number, data: Buffer): void {
    data.copy(this.content, offset);
  }
  writeZeroes(offset: number, length: number): void {
    this.calls.push(`zero ${offset} ${length}`);
    this.content.fill(0, offset, offset + length);
  }
  trim(offset: number, length: number): void {
    this.calls.push(`trim ${offset} ${length}`);
  }
  flush(): void {
    this.calls.push('flush');
  }
}

async function serve(backend: NbdBackend, errors: Error[] = []): Promise<NbdServer> {
  const server = await NbdServer.listen(join(directory, 's'), 'disk0', backend, (error) =>
    errors.push(error),
  );
  cleanups.push(() => server.close());
  return server;
}

describe('our server under QEMU tools', () => {
  const uri = () => `nbd+unix:///disk0?socket=${join(directory, 's')}`;

  test('qemu-img copies an image onto it and finds it identical', async () => {
    const disk = new MemoryDisk(8 * MIB);
    await serve(disk);
    const content = Buffer.alloc(8 * MIB);
    for (let i = 0; i < content.length; i += 4099) content.writeUInt32BE(i, i & ~3);
    content.fill(0, 2 * MIB, 4 * MIB);
    await writeFile(join(directory, 'raw'), content);
    const raw = join(directory, 'raw');
    await run('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', raw, uri()]);
    expect(disk.content.equals(content)).toBe(true);
    const compared = await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', raw, uri()]);
    expect(compared.stdout).toContain('identical');
    disk.content[5 * MIB] = 0xee;
    await expect(
      run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', raw, uri()]),
    ).rejects.toThrow();
  });

  test('qemu-io writes, zeroes, discards and flushes', async () => {
    const disk = new MemoryDisk(4 * MIB);
    await serve(disk);
    const commands = ['write -P 0x5a 64k 128k', 'write -z 64k 64k', 'discard 1M 1M', 'flush'];
    const io = ['-f', 'raw', uri(), ...commands.flatMap((command) => ['-c', command])];
    await run('qemu-io', io);
    expect(disk.content.subarray(64 * 1024, 128 * 1024).every((byte) => byte === 0)).toBe(true);
    expect(disk.content.subarray(128 * 1024, 192 * 1024).every((byte) => byte === 0x5a)).toBe(true);
    expect(disk.calls).toContain(`zero ${64 * 1024} ${64 * 1024}`);
    expect(disk.calls).toContain(`trim ${MIB} ${MIB}`);
    expect(disk.calls).toContain('flush');
  });

  test('an unknown export is refused, a listing answered', async () => {
    await serve(new MemoryDisk(MIB));
    const wrong = `nbd+unix:///other?socket=${join(directory, 's')}`;
    await expect(run('qemu-img', ['info', wrong])).rejects.toThrow(/other/);
    const listed = await run('qemu-nbd', ['-L', '-k', join(directory, 's')]);
    expect(listed.stdout).toContain("export: 'disk0'");
  });

  test('an error of the backend reaches the writer, and the connection goes on', async () => {
    const disk = new MemoryDisk(MIB);
    let full = true;
    const write = disk.write.bind(disk);
    disk.write = (offset, data) => {
      if (full) throw new NbdRequestError('write', NbdErrno.ENOSPC);
      write(offset, data);
    };
    await serve(disk);
    const client = await NbdClient.connect(join(directory, 's'), 'disk0');
    await expect(client.write(0, Buffer.from('x'))).rejects.toMatchObject({ errno: 28 });
    full = false;
    await client.write(0, Buffer.from('x'));
    expect(disk.content.toString('latin1', 0, 1)).toBe('x');
    client.close();
  });
});

describe('our server under garbage', () => {
  test.each([
    ['wrong option magic', Buffer.concat([Buffer.from([0, 0, 0, 3]), Buffer.alloc(16, 0x41)])],
    ['unknown client flags', Buffer.from([0xff, 0, 0, 3])],
    [
      'an option of 4 GiB',
      Buffer.concat([
        Buffer.from([0, 0, 0, 3]),
        Buffer.from('IHAVEOPT'),
        Buffer.from([0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff]),
      ]),
    ],
  ])('%s ends that connection only', async (_name, bytes) => {
    const errors: Error[] = [];
    await serve(new MemoryDisk(MIB), errors);
    const socket = createConnection(join(directory, 's'));
    socket.resume().write(bytes);
    await once(socket, 'close');
    expect(errors).toHaveLength(1);
    const client = await NbdClient.connect(join(directory, 's'), 'disk0');
    expect(client.size).toBe(MIB);
    client.close();
  });

  test('a range beyond the end is refused', async () => {
    await serve(new MemoryDisk(MIB));
    const client = await NbdClient.connect(join(directory, 's'), 'disk0');
    await expect(client.write(MIB - 1, Buffer.alloc(2))).rejects.toMatchObject({ errno: 28 });
    await expect(client.read(MIB, 1)).rejects.toMatchObject({ errno: 22 });
    client.close();
  });
});

describe('our client on qemu-nbd', () => {
  async function qemuNbd(): Promise<string> {
    const image = join(directory, 'image.raw');
    const socket = join(directory, 'q');
    await writeFile(image, Buffer.alloc(4 * MIB, 0x11));
    const pidFile = join(directory, 'pid');
    const args = ['-f', 'raw', '-k', socket, '-x', 'disk0', '-t', '--discard=unmap'];
    const child = spawn('qemu-nbd', [...args, '--pid-file', pidFile, image], { stdio: 'ignore' });
    cleanups.push(async () => {
      child.kill('SIGKILL');
      await once(child, 'close');
    });
    while (!(await exists(socket))) await new Promise((resolve) => setTimeout(resolve, 20));
    return socket;
  }

  test('reads, writes, zeroes, trims and flushes', async () => {
    const client = await NbdClient.connect(await qemuNbd(), 'disk0');
    expect(client.size).toBe(4 * MIB);
    await Promise.all([
      client.write(0, Buffer.from('first')),
      client.write(MIB, Buffer.alloc(512 * 1024, 0x22)),
      client.writeZeroes(2 * MIB, MIB, true),
      client.trim(3 * MIB, 64 * 1024),
    ]);
    await client.flush();
    const back = await client.read(MIB - 1, 2);
    expect([...back]).toEqual([0x11, 0x22]);
    client.close();
    const image = await readFile(join(directory, 'image.raw'));
    expect(image.toString('latin1', 0, 5)).toBe('first');
    expect(image.subarray(2 * MIB, 3 * MIB).every((byte) => byte === 0)).toBe(true);
  });

  test('an unknown export is an error at once', async () => {
    await expect(NbdClient.connect(await qemuNbd(), 'nothing')).rejects.toThrow(/nothing/);
  });

  test('requests fail when the server dies', async () => {
    const socket = await qemuNbd();
    const client = await NbdClient.connect(socket, 'disk0');
    const pid = Number(await readFile(join(directory, 'pid'), 'utf8'));
    process.kill(pid, 'SIGSTOP');
    const pending = client.write(0, Buffer.from('x'));
    process.kill(pid, 'SIGKILL');
    await expect(pending).rejects.toThrow();
    await expect(client.flush()).rejects.toThrow();
  });
});

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
