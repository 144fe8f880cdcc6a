import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { buildUi } from '../../src/ui/build.ts';

const MAX_GZIP_BYTES = 400 * 1024;

let directory: string;
beforeAll(async () => {
  directory = await buildUi();
});

test('the window is small', async () => {
  const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter(
    (entry) => entry.isFile(),
  );
  const sizes = await Promise.all(
    files.map(
      async ({ parentPath, name }) => gzipSync(await readFile(join(parentPath, name))).length,
    ),
  );
  expect(sizes.length).toBeGreaterThan(3);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_GZIP_BYTES);
});

test('the page has no script or style of its own, which the policy would refuse', async () => {
  const html = await readFile(join(directory, 'index.html'), 'utf8');
  expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=/);
  for (const [, attributes, content] of html.matchAll(/<script([^>]*)>([^<]*)<\/script>/g)) {
    expect(attributes).toContain('src="./assets/');
    expect(content).toBe('');
  }
  expect(html).not.toMatch(/https?:/);
});

test('it is built again only when its sources have changed', async () => {
  const before = await stat(join(directory, 'index.html'));
  await buildUi();
  expect((await stat(join(directory, 'index.html'))).mtimeMs).toBe(before.mtimeMs);
});
