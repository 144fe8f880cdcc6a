import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { ByteReader } from '../../src/handoff/byte-reader.ts';
import { DiskJournal } from '../../src/handoff/disk-journal.ts';
import {
  type DiskOperation,
  encodeOperation,
  readOperation,
} from '../../src/handoff/disk-operation.ts';
import { applyDisk, DiskShipper } from '../../src/handoff/disk-stream.ts';
import {
  type NbdBackend,
  NbdClient,
  NbdErrno,
  NbdRequestError,
  NbdServer,
} from '../../src/handoff/nbd/index.ts';
import type { ChannelPort } from '../../src/handoff/ports.ts';
import { ReturnPathHold } from '../../src/handoff/return-path.ts';
import { Loopback } from './loopback.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const reader = (bytes: Buffer) => new ByteReader(Readable.from([bytes]));
const SIZE = 1024 * 1024;

describe('the return path', () => {
  // PONG 1, SWITCHOVER_ACK and SHUT 0, laid out as in QEMU's rp_cmd_args; the integration tests have the real ones.
  const pong = Buffer.from('0002000400000001', 'hex');
  const ack = Buffer.from('00070000', 'hex');
  const shut = Buffer.from('0001000400000000', 'hex');

  function feed(hold: ReturnPathHold, bytes: Buffer, chunk: number): string {
    for (let at = 0; at < bytes.length; at += chunk) hold.write(bytes.subarray(at, at + chunk));
    return (hold.read() as Buffer | null)?.toString('hex') ?? '';
  }

  test.each([1, 2, 3, 5, 100])('keeps the acknowledgement alone, in chunks of %d', async (size) => {
    const hold = new ReturnPathHold();
    const out = feed(hold, Buffer.concat([pong, ack, pong]), size);
    expect(out).toBe(Buffer.concat([pong, pong]).toString('hex'));
    await hold.acknowledged;
    hold.release();
    expect((hold.read() as Buffer).toString('hex')).toBe(ack.toString('hex'));
    expect(feed(hold, shut, size)).toBe(shut.toString('hex'));
  });

  test('lets one pass that comes after the release', () => {
    const hold = new ReturnPathHold();
    hold.release();
    expect(feed(hold, ack, 4)).toBe(ack.toString('hex'));
  });

  test.each(['00000000', '00080000', 'ffffffff', '0003ffff'])('refuses %s', async (hex) => {
    const hold = new ReturnPathHold();
    const failed = once(hold, 'error');
    hold.write(Buffer.from(hex, 'hex'));
    expect((await failed)[0]).toMatchObject({ name: 'ReturnPathError' });
  });
});

const operation: fc.Arbitrary<DiskOperation> = fc.oneof(
  fc.record({
    type: fc.constant('write' as const),
    offset: fc.nat(SIZE - 4096),
    data: fc.uint8Array({ minLength: 1, maxLength: 4096 }).map((bytes) => Buffer.from(bytes)),
  }),
  fc.record({
    type: fc.constantFrom('zero' as const, 'zero-allocated' as const),
    offset: fc.nat(SIZE - 8192),
    length: fc.integer({ min: 1, max: 8192 }),
  }),
  fc.record({ type: fc.constant('flush' as const) }),
);

describe('disk operations', () => {
  test('come back as they were, and truncation anywhere is an error', async () => {
    await fc.assert(
      fc.asyncProperty(operation, async (one) => {
        const bytes = encodeOperation(one);
        expect(await readOperation(reader(bytes), SIZE)).toEqual(one);
        const cut = bytes.subarray(0, bytes.length - 1);
        await expect(readOperation(reader(cut), SIZE)).rejects.toThrow(/too early|ended/);
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    ['an unknown operation', Buffer.alloc(13)],
    ['a write beyond the end', encodeOperation({ type: 'zero', offset: SIZE, length: 1 })],
  ])('%s is refused', async (_name, bytes) => {
    await expect(readOperation(reader(bytes), SIZE)).rejects.toThrow();
  });
});

describe('the journal', () => {
  const data = (bytes: number) => Buffer.alloc(bytes);
  const marks = { capacity: 4000, high: 2000, low: 500 };

  test('presses at the high mark and lets go at the low one', async () => {
    const journal = new DiskJournal(SIZE, marks);
    const pressure: boolean[] = [];
    journal.onPressure = (pressed) => pressure.push(pressed);
    for (let i = 0; i < 3; i += 1) journal.write(0, data(700));
    expect(pressure).toEqual([true]);
    await journal.take();
    expect(pressure).toEqual([true]);
    await journal.take();
    await journal.take();
    expect(pressure).toEqual([true, false]);
    expect(journal.bytes).toBe(0);
  });

  test('full, it refuses with ENOSPC and stays as it was', () => {
    const journal = new DiskJournal(SIZE, marks);
    journal.write(0, data(3900));
    const { bytes, accepted } = journal;
    expect(() => journal.write(0, data(100))).toThrow(expect.objectContaining({ errno: 28 }));
    expect([journal.bytes, journal.accepted]).toEqual([bytes, accepted]);
  });

  test('gives what it has, then waits, then ends', async () => {
    const journal = new DiskJournal(SIZE);
    const waiting = journal.take();
    journal.trim(0, 512);
    expect(await waiting).toEqual({ type: 'trim', offset: 0, length: 512 });
    journal.end();
    expect(await journal.take()).toEqual({ type: 'end' });
    expect(await journal.take()).toBeUndefined();
    expect(() => journal.flush()).toThrow();
  });
});

describe('a disk stream', () => {
  async function target(
    onWrite: () => void = () => undefined,
  ): Promise<{ client: NbdClient; content: Buffer; flushes: () => number }> {
    const directory = await mkdtemp(join(tmpdir(), 'ds-'));
    const content = Buffer.alloc(SIZE, 0xcc);
    let flushes = 0;
    // Answers late and in disorder among connections of its own: order is the applier's to keep.
    const backend: NbdBackend = {
      size: SIZE,
      write: async (offset, bytes) => {
        await delay(0);
        onWrite();
        bytes.copy(content, offset);
      },
      writeZeroes: (offset, length) => void content.fill(0, offset, offset + length),
      trim: () => undefined,
      flush: () => {
        flushes += 1;
      },
    };
    const server = await NbdServer.listen(join(directory, 's'), 'd', backend, () => undefined);
    const client = await NbdClient.connect(join(directory, 's'), 'd');
    cleanups.push(
      () => rm(directory, { recursive: true, force: true }),
      () => server.close(),
      () => client.close(),
    );
    return { client, content, flushes: () => flushes };
  }

  function channels(): Promise<[ChannelPort, ChannelPort]> {
    const link = new Loopback('a', 'b', { delayMs: 1 });
    cleanups.push(() => link.end());
    return new Promise((resolve) => {
      const near = { channel: undefined as ChannelPort | undefined };
      link.far.onChannel('d', (far) => resolve([near.channel as ChannelPort, far]));
      near.channel = link.near.openChannel('d', {});
    });
  }

  test('makes the target what the writes made of the source', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 60 }), async (operations) => {
        const [near, far] = await channels();
        const { client, content, flushes } = await target();
        const journal = new DiskJournal(SIZE);
        const shipper = new DiskShipper(journal, near);
        const applied = applyDisk(far, client);
        const expected = Buffer.alloc(SIZE, 0xcc);
        for (const one of operations) {
          if (one.type === 'write') {
            one.data.copy(expected, one.offset);
            journal.write(one.offset, one.data);
          } else if (one.type === 'flush') journal.flush();
          else if ('length' in one) {
            expected.fill(0, one.offset, one.offset + one.length);
            journal.writeZeroes(one.offset, one.length, one.type === 'zero');
          }
        }
        journal.end();
        await Promise.all([applied, shipper.finished]);
        expect(content.equals(expected)).toBe(true);
        expect(flushes()).toBeGreaterThan(0);
        expect(shipper.operationsApplied).toBe(journal.accepted);
      }),
      { numRuns: 15 },
    );
  }, 30_000);

  test('tells the source that the target has no room left', async () => {
    const [near, far] = await channels();
    const { client } = await target(() => {
      throw new NbdRequestError('a write', NbdErrno.ENOSPC);
    });
    const journal = new DiskJournal(SIZE);
    const shipper = new DiskShipper(journal, near);
    const applied = applyDisk(far, client);
    journal.write(0, Buffer.from('x'));
    journal.end();
    await expect(applied).rejects.toMatchObject({ code: 'destination-disk-full' });
    await expect(shipper.finished).rejects.toThrow('no room left');
  });

  test('that is reset fails at both ends, and the journal takes no more takers', async () => {
    const [near, far] = await channels();
    const { client } = await target();
    const journal = new DiskJournal(SIZE);
    const shipper = new DiskShipper(journal, near);
    const applied = applyDisk(far, client);
    journal.write(0, Buffer.from('x'));
    near.destroy(new Error('reset here'));
    await expect(applied).rejects.toThrow();
    await expect(shipper.finished).rejects.toThrow();
    await expect(journal.take()).rejects.toThrow();
  });
});
