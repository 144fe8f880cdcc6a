import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createVariables, type FirmwareFiles, findFirmware } from '../../src/guest/index.ts';

let root: string;
const at = (name: string) => join(root, name);

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'firmware-'));
  await writeFile(at('code.fd'), Buffer.alloc(8192, 1));
  await writeFile(at('vars.fd'), Buffer.alloc(4096, 2));
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

function files(name: string, format: 'raw' | 'qcow2'): FirmwareFiles {
  const suffix = format === 'raw' ? 'fd' : 'qcow2';
  return { code: at(`${name}.${suffix}`), variables: at(`vars.${suffix}`), format };
}

test('what is not installed, or not whole, is passed over', async () => {
  await writeFile(at('short.qcow2'), 'QFI');
  const candidates = [files('gone', 'raw'), files('short', 'qcow2'), files('code', 'raw')];
  expect(await findFirmware('x86_64', candidates)).toEqual([
    {
      codePath: at('code.fd'),
      templatePath: at('vars.fd'),
      format: 'raw',
      codeBytes: 8192,
      variablesBytes: 4096,
    },
  ]);
});

test('the size of a qcow2 file is that of the flash, and variables made from it are raw', async () => {
  for (const name of ['code', 'vars'])
    await execa('qemu-img', ['convert', '-O', 'qcow2', at(`${name}.fd`), at(`${name}.qcow2`)]);
  const [firmware] = await findFirmware('x86_64', [files('code', 'qcow2')]);
  expect(firmware).toMatchObject({ codeBytes: 8192, variablesBytes: 4096 });
  if (firmware === undefined) throw new Error('not found');
  await createVariables(firmware, at('mine.fd'));
  expect(await readFile(at('mine.fd'))).toEqual(Buffer.alloc(4096, 2));
  expect((await stat(at('mine.fd'))).mode & 0o200).toBe(0o200);
});
