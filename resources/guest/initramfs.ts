/**
 * Makes the demo guest's initramfs from unpacked Debian packages:
 *   node initramfs.ts PACKAGES KERNEL_RELEASE SERVICES OUT
 * PACKAGES is the folder they were unpacked into, SERVICES the compiled demo-services.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Entry, newc } from './newc.ts';

const here = import.meta.dirname;
const guestAgent = 'usr/sbin/qemu-ga';
const libraryFolders = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu', 'lib64', 'usr/lib64'];

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function file(path: string): Entry {
  const executable = (statSync(path).mode & 0o111) !== 0;
  return { kind: 'file', data: readFileSync(path), executable };
}

function program(path: string): Entry {
  return { kind: 'file', data: readFileSync(path), executable: true };
}

/** Kernel modules are named with dashes or underscores, used as the same. */
const moduleName = (path: string) =>
  basename(path)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_');

function readModule(path: string): Buffer {
  return path.endsWith('.xz')
    ? execFileSync('xz', ['-dc', path], { maxBuffer: 64 << 20 })
    : readFileSync(path);
}

/** The `depends=` entry of a module's .modinfo section, which is a list of NUL-terminated strings. */
function dependencies(module: Buffer): string[] {
  const found = /\0depends=([\w,-]*)\0/.exec(module.toString('latin1'));
  return (found?.[1] ?? '').split(',').filter((name) => name !== '');
}

/** What to load for `wanted`, dependencies first. What the kernel has built in is left out. */
function moduleClosure(folder: string, wanted: string[]): Map<string, Buffer> {
  const available = new Map(
    filesBelow(join(folder, 'kernel'))
      .filter((path) => /\.ko(\.xz)?$/.test(path))
      .map((path) => [moduleName(path), path]),
  );
  const builtIn = new Set(
    readFileSync(join(folder, 'modules.builtin'), 'utf8').split('\n').map(moduleName),
  );
  const ordered = new Map<string, Buffer>();
  const visit = (name: string) => {
    const key = name.replaceAll('-', '_');
    if (ordered.has(key) || builtIn.has(key)) return;
    const path = available.get(key);
    if (path === undefined) throw new Error(`the kernel package has no module ${name}`);
    const data = readModule(path);
    dependencies(data).forEach(visit);
    ordered.set(key, data);
  };
  wanted.forEach(visit);
  return ordered;
}

function library(packages: string, name: string): string {
  const path = libraryFolders.map((at) => join(packages, at, name)).find(existsSync);
  if (path === undefined) throw new Error(`no downloaded package has ${name}`);
  return path;
}

/** The shared libraries of `program` and theirs, by path in the packages (`readelf -d`, NEEDED). */
function libraryClosure(packages: string, program: string): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (path: string) => {
    const dynamic = execFileSync('readelf', ['-d', path], { encoding: 'utf8' });
    for (const [, name] of dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)) {
      if (name === undefined || found.has(name)) continue;
      const source = library(packages, name);
      found.set(name, source);
      visit(source);
    }
  };
  visit(program);
  return found;
}

function interpreter(program: string): string {
  const headers = execFileSync('readelf', ['-lW', program], { encoding: 'utf8' });
  const found = /program interpreter: \/(.+)\]/.exec(headers)?.[1];
  if (found === undefined) throw new Error(`${program} names no program interpreter`);
  return found;
}

function collect(packages: string, release: string, services: string): Map<string, Entry> {
  const entries = new Map<string, Entry>([
    // The kernel opens it for init before anything has mounted devtmpfs.
    ['dev/console', { kind: 'character-device', major: 5, minor: 1 }],
    // The guest agent's guest-set-time calls it by this path.
    ['sbin/hwclock', { kind: 'symlink', target: '../bin/busybox' }],
    ['init', { kind: 'symlink', target: 'bin/busybox' }],
    ['sbin/demo-services', program(services)],
  ]);
  for (const name of ['proc', 'sys', 'data', 'run', 'root', 'tmp', 'etc/acpi']) {
    entries.set(name, { kind: 'directory' });
  }

  const busybox = ['bin/busybox', 'usr/bin/busybox']
    .map((at) => join(packages, at))
    .find(existsSync);
  if (busybox === undefined) throw new Error('the busybox package has no busybox');
  entries.set('bin/busybox', file(busybox));
  for (const applet of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    if (applet !== 'busybox') entries.set(`bin/${applet}`, { kind: 'symlink', target: 'busybox' });
  }

  const agent = join(packages, guestAgent);
  entries.set(guestAgent, program(agent));
  for (const [name, path] of libraryClosure(packages, agent))
    entries.set(`lib/${name}`, file(path));
  // The loader is the one library that is found by its path.
  const loader = interpreter(agent);
  entries.delete(`lib/${basename(loader)}`);
  entries.set(loader, program(library(packages, basename(loader))));

  const modules = moduleClosure(
    join(
      packages,
      existsSync(join(packages, 'lib/modules')) ? 'lib' : 'usr/lib',
      'modules',
      release,
    ),
    readFileSync(join(here, 'modules'), 'utf8').trim().split('\n'),
  );
  for (const [name, data] of modules) {
    entries.set(`lib/modules/${name}.ko`, { kind: 'file', data, executable: false });
  }
  const order = [...modules.keys()].map((name) => `/lib/modules/${name}.ko\n`).join('');
  entries.set('etc/modules', { kind: 'file', data: Buffer.from(order), executable: false });

  const root = join(here, 'root');
  for (const path of filesBelow(root)) entries.set(path.slice(root.length + 1), file(path));
  return entries;
}

const [packages, release, services, out] = process.argv.slice(2);
if (!packages || !release || !services || !out) {
  throw new Error(`usage: ${basename(import.meta.filename)} PACKAGES KERNEL_RELEASE SERVICES OUT`);
}
if (!existsSync(dirname(out))) throw new Error(`${dirname(out)} is missing`);
writeFileSync(out, newc(collect(packages, release, services)));
