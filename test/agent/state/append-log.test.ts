import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { AppendLog } from '../../../src/agent/state/append-log.ts';

const schema = z.object({ epoch: z.int(), text: z.string() });
let base: string;
let path: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'sojourn-log-'));
  path = join(base, 'journal.jsonl');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

async function write(entries: readonly z.infer<typeof schema>[]): Promise<void> {
  const log = await AppendLog.open(path, schema);
  await Promise.all(entries.map((entry) => log.append(entry)));
  await log.close();
}

async function read(): Promise<readonly z.infer<typeof schema>[]> {
  const log = await AppendLog.open(path, schema);
  await log.close();
  return log.entries;
}

it('keeps entries in the order of the calls, across openings', async () => {
  await write([
    { epoch: 1, text: 'a\nb' },
    { epoch: 2, text: 'ü' },
  ]);
  await write([{ epoch: 3, text: '' }]);
  expect(await read()).toEqual([
    { epoch: 1, text: 'a\nb' },
    { epoch: 2, text: 'ü' },
    { epoch: 3, text: '' },
  ]);
});

it('cuts off a torn last line, wherever it was torn, and goes on', async () => {
  await write([{ epoch: 1, text: 'whole' }]);
  const before = readFileSync(path);
  const torn = Buffer.from(`${JSON.stringify({ epoch: 2, text: 'törn' })}\n`);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: torn.length - 1 }), async (length) => {
      writeFileSync(path, before);
      appendFileSync(path, torn.subarray(0, length));
      expect(await read()).toEqual([{ epoch: 1, text: 'whole' }]);
      await write([{ epoch: 3, text: 'next' }]);
      expect(await read()).toHaveLength(2);
    }),
    { numRuns: 30 },
  );
});

it('refuses a journal damaged in the middle', async () => {
  await write([
    { epoch: 1, text: 'a' },
    { epoch: 2, text: 'b' },
  ]);
  writeFileSync(path, readFileSync(path, 'utf8').replace('"epoch":1', '"epoch":"one"'));
  await expect(read()).rejects.toMatchObject({ code: 'journal-damaged' });
});

it('cuts a record off again that did not fit, and takes the next', () => {
  const source = join(import.meta.dirname, '../../../src/agent/state/append-log.ts');
  const script = `
    import { z } from 'zod';
    import { AppendLog } from ${JSON.stringify(source)};
    const log = await AppendLog.open(${JSON.stringify(path)}, z.object({ text: z.string() }));
    const codes = [];
    for (const text of ['fits', 'x'.repeat(5000), 'late'])
      codes.push(await log.append({ text }).then(() => 'ok', (error) => error.code));
    console.log(codes.join(), log.entries.length);`;
  // A file-size limit of 1 KiB stands for the full disk; ignoring SIGXFSZ makes the write fail instead.
  const { stdout } = spawnSync(
    'sh',
    [
      '-c',
      'trap "" XFSZ; ulimit -f 1; exec "$0" --input-type=module -e "$1"',
      process.execPath,
      script,
    ],
    { encoding: 'utf8', cwd: join(import.meta.dirname, '../../..') },
  );
  expect(stdout.trim()).toBe('ok,journal-not-writable,ok 2');
  expect(readFileSync(path, 'utf8')).toBe('{"text":"fits"}\n{"text":"late"}\n');
});

/** Makes these calls of every file fail as they do on a bad disk, until restored. */
async function failing(...calls: ('datasync' | 'sync' | 'truncate')[]): Promise<() => void> {
  const handle = await open(join(base, 'any'), 'a');
  const files = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  const error = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  const spies = calls.map((call) => vi.spyOn(files, call).mockRejectedValue(error));
  return () => {
    for (const spy of spies) spy.mockRestore();
  };
}

it('does not bring back a record whose flush failed', async () => {
  await write([{ epoch: 1, text: 'ä' }]);
  const log = await AppendLog.open(path, schema);
  const restore = await failing('datasync');
  const rejected = log.append({ epoch: 2, text: 'not durable' });
  await expect(rejected).rejects.toMatchObject({ code: 'journal-not-writable' });
  restore();
  await log.append({ epoch: 3, text: 'after' });
  await log.close();
  expect(log.entries.map(({ epoch }) => epoch)).toEqual([1, 3]);
  expect(await read()).toEqual(log.entries);
});

it.each(['truncate', 'sync'] as const)(
  'takes nothing more when a record cannot be cut off: %s fails',
  async (call) => {
    const log = await AppendLog.open(path, schema);
    const restore = await failing('datasync', call);
    const code = 'journal-not-writable';
    await expect(log.append({ epoch: 1, text: 'doubtful' })).rejects.toMatchObject({ code });
    restore();
    await expect(log.append({ epoch: 2, text: 'late' })).rejects.toMatchObject({ code });
    expect(log.entries).toEqual([]);
    await log.close();
  },
);
