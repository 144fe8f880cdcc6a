/**
 * Builds packages of the app for this platform: `node resources/packaging/build.ts [ARGUMENTS OF electron-builder]`.
 * `--linux dir` makes the unpacked app only. electron-builder is fetched into `.cache` when it is first needed.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { readFileIfPresent } from '../../src/common/index.ts';
import { stage } from './stage.ts';

const root = join(import.meta.dirname, '../..');
const tools = join(root, '.cache', 'packaging');
/** The lock file of what is installed there. */
const stamp = join(tools, 'installed.json');
const files = ['package.json', 'package-lock.json'];

/** The program; installed from this folder's lock file, again when that has changed. */
async function electronBuilder(): Promise<string> {
  const program = join(tools, 'node_modules', 'electron-builder', 'out', 'cli', 'cli.js');
  const lock = await readFile(join(import.meta.dirname, 'package-lock.json'), 'utf8');
  if ((await readFileIfPresent(stamp)) === lock) return program;
  await mkdir(tools, { recursive: true });
  for (const name of files) await copyFile(join(import.meta.dirname, name), join(tools, name));
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await execa('npm', ['ci', ...flags], { cwd: tools, stdin: 'ignore' });
  await writeFile(stamp, lock);
  return program;
}

/** @param args of electron-builder; packages are left in `dist/packages` */
export async function buildPackages(args: readonly string[]): Promise<void> {
  const [program] = await Promise.all([electronBuilder(), stage()]);
  const config = join(import.meta.dirname, 'electron-builder.yml');
  // Where the app looks for updates once a person has turned that on; without an address it offers none.
  const { SOJOURN_UPDATE_URL: url } = process.env;
  const update = url ? ['-c.publish.provider=generic', `-c.publish.url=${url}`] : [];
  await execa(
    process.execPath,
    [program, '--config', config, ...update, '--publish=never', ...args],
    {
      cwd: root,
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'inherit',
    },
  );
}

if (import.meta.main) await buildPackages(process.argv.slice(2));
