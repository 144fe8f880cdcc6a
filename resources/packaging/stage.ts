/** Lays out what goes into a package: the app, the agent with its modules, and the Node that runs it. */
import { chmod, copyFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { buildApp } from '../../electron/build.ts';

const root = join(import.meta.dirname, '../..');
export const staged = join(root, '.cache', 'package');

const manifest = z.looseObject({ name: z.string(), version: z.string(), description: z.string() });

export async function stage(): Promise<void> {
  await rm(staged, { recursive: true, force: true });
  await buildApp();
  await stageApp();
  await stageAgent();
  // The Node that runs this is the one that the package gets: of this platform, and new enough.
  const node = join(staged, 'node', process.platform === 'win32' ? 'node.exe' : 'bin/node');
  await mkdir(join(node, '..'), { recursive: true });
  await copyFile(process.execPath, node);
  await chmod(node, 0o755);
}

/** The bundles need no modules; what names them in the manifest would bring them along. */
async function stageApp(): Promise<void> {
  const app = join(staged, 'app');
  for (const folder of ['dist/ui', 'dist/electron', 'resources/icons/tray', 'resources/icons/app'])
    await cp(join(root, folder), join(app, folder), { recursive: true });
  const { name, version, description } = await readManifest();
  const own = {
    name,
    version,
    description,
    author: 'The Sojourn authors',
    license: 'Apache-2.0',
    type: 'module',
    main: 'dist/electron/main.js',
  };
  await writeFile(join(app, 'package.json'), `${JSON.stringify(own, null, 2)}\n`);
}

async function stageAgent(): Promise<void> {
  const agent = join(staged, 'agent');
  await mkdir(join(agent, 'resources'), { recursive: true });
  for (const name of ['package.json', 'package-lock.json', 'LICENSE'])
    await copyFile(join(root, name), join(agent, basename(name)));
  await cp(join(root, 'src'), join(agent, 'src'), { recursive: true });
  // Served to browsers by the agent, too.
  await cp(join(root, 'dist', 'ui'), join(agent, 'dist', 'ui'), { recursive: true });
  // Node is beside it, and nothing that is installed may run.
  const flags = ['--omit=dev', '--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund'];
  await execa('npm', ['ci', ...flags, '--loglevel=error'], { cwd: agent, stdin: 'ignore' });
}

async function readManifest(): Promise<z.infer<typeof manifest>> {
  return manifest.parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
}
