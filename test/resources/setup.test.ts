/** The set-up script against stubbed programs: what it would install, say and refuse. */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync } from 'node:fs';
import { readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const resources = join(import.meta.dirname, '../../resources');

/** What the script itself is written with. */
const basics =
  'sh cat sed grep find cksum uname id mktemp rm tail head sort cut tr ln mv mkdir dirname basename sleep tee env xargs sha256sum chmod touch';

let root: string;
const inClone = (...path: string[]) => join(root, 'clone', ...path);
const log = () => readFileSync(join(root, 'log'), 'utf8');

/** A program on PATH that notes its arguments and then does `body` (shell). */
async function stub(name: string, body = ':'): Promise<void> {
  const path = join(root, 'bin', name);
  await rm(path, { force: true });
  await writeFile(path, `#!/bin/sh\necho "${name} $*" >>"${root}/log"\n${body}\n`);
  chmodSync(path, 0o755);
}

const hide = (name: string) => rm(join(root, 'bin', name), { force: true });

async function system(release: string): Promise<void> {
  await writeFile(join(root, 'os-release'), release);
}

const qemu = (version: string) =>
  stub('qemu-system-x86_64', `echo "QEMU emulator version ${version} (Debian)"`);

function setup(purpose: string, env: Record<string, string> = {}) {
  return execa('/bin/sh', [inClone('resources/setup.sh'), purpose], {
    env: {
      PATH: join(root, 'bin'),
      HOME: root,
      SOJOURN_OS_RELEASE: join(root, 'os-release'),
      SOJOURN_APT_SOURCES: join(root, 'apt'),
      ...env,
    },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    timeout: 30_000,
  });
}

const debian12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n';

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'setup-'));
  for (const folder of ['bin', 'clone/node_modules', 'apt/sources.list.d'])
    mkdirSync(join(root, folder), { recursive: true });
  await writeFile(join(root, 'log'), '');
  cpSync(resources, inClone('resources'), { recursive: true });
  await writeFile(inClone('package-lock.json'), '{}');
  await writeFile(inClone('node_modules/.package-lock.json'), '{}');
  await utimes(inClone('package-lock.json'), 1, 1);
  for (const name of basics.split(' ')) {
    const { stdout } = await execa('sh', ['-c', `command -v ${name}`]);
    symlinkSync(stdout, join(root, 'bin', name));
  }
  await writeFile(
    join(root, 'apt/sources.list.d/debian.sources'),
    'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n',
  );
  await system(debian12);
  await qemu('10.0.2');
  await stub('qemu-img');
  await stub('node', 'echo v24.1.0');
  await stub('npm');
  await stub('apt-get');
  // As root, whoever runs the tests.
  await stub('id', 'echo 0');
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

describe('with nothing missing', () => {
  test('it is silent and starts nothing that installs', async () => {
    expect(await setup('none')).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
    expect(log()).not.toMatch(/apt-get|npm|sudo/);
  });

  test('a lock file that is only newer does not bring back npm', async () => {
    await utimes(inClone('node_modules/.package-lock.json'), 2, 2);
    await utimes(inClone('package-lock.json'), 3, 3);
    await setup('none');
    expect(log()).toMatch(/^npm ci/m);
    await writeFile(join(root, 'log'), '');
    await setup('none');
    expect(log()).not.toMatch(/^npm/m);
  });
});

describe('Node', () => {
  test('a fresh clone gets its packages', async () => {
    await rm(inClone('node_modules'), { recursive: true });
    await stub('npm', `mkdir -p "${inClone('node_modules')}"`);
    expect(await setup('none')).toMatchObject({
      exitCode: 0,
      stderr: 'setup: installing the npm packages (npm ci)',
    });
  });

  test('an error of npm is shown, its noise is not', async () => {
    await rm(inClone('node_modules/.package-lock.json'));
    await stub('npm', 'echo "npm error no network" >&2; exit 1');
    const { exitCode, stderr } = await setup('none');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('npm error no network');
  });

  test('an old Node is explained', async () => {
    await stub('node', 'echo v20.20.2');
    const { exitCode, stderr } = await setup('none');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('Node 24 or newer is needed to run Sojourn, found v20.20.2');
  });
});

describe('QEMU on Debian 12', () => {
  beforeEach(async () => {
    await stub(
      'apt-get',
      `case "$*" in *'-t bookworm-backports'*) printf '#!/bin/sh\\necho "QEMU emulator version 10.0.2"\\n' >"${root}/bin/qemu-system-x86_64"; chmod 755 "${root}/bin/qemu-system-x86_64" ;; esac`,
    );
  });

  test.each([['missing'], ['7.2.9'], ['9.1.0']])('%s: comes from backports', async (version) => {
    await (version === 'missing' ? hide('qemu-system-x86_64') : qemu(version));
    const { exitCode, stderr } = await setup('none');
    expect(stderr).toContain('adding bookworm-backports');
    expect(exitCode).toBe(0);
    expect(readFileSync(join(root, 'apt/sources.list.d/sojourn-backports.sources'), 'utf8')).toBe(
      'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\nComponents: main\n' +
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n',
    );
    expect(log()).toMatch(/apt-get .* -t bookworm-backports install qemu-system-x86$/m);
  });

  test('backports that are there already are used as they are', async () => {
    await qemu('7.2.9');
    await writeFile(
      join(root, 'apt/sources.list'),
      'deb http://mirror.example/debian bookworm-backports main\n',
    );
    expect((await setup('none')).exitCode).toBe(0);
    expect(await readdir(join(root, 'apt/sources.list.d'))).toEqual(['debian.sources']);
  });

  test('9.2 is new enough', async () => {
    await qemu('9.2.0');
    expect(await setup('none')).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

describe('without a way to install', () => {
  beforeEach(async () => {
    await hide('qemu-system-x86_64');
    await stub('id', 'echo 1000');
  });

  test('it prints every command that root must run', async () => {
    const { exitCode, stderr } = await setup('none');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('only root can install them');
    expect(stderr).toContain('Suites: bookworm-backports');
    expect(stderr).toContain(
      'apt-get install --no-install-recommends -t bookworm-backports qemu-system-x86',
    );
    expect(log()).not.toContain('apt-get');
  });

  test('a sudo that would ask for a password is the same as none where nobody can answer', async () => {
    await stub('sudo', 'exit 1');
    const { exitCode, stderr } = await setup('none');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('only root can install them');
  });

  test('a sudo that asks nothing is used', async () => {
    await stub('sudo', 'case "$1" in -n) ;; *) "$@" ;; esac');
    await stub(
      'apt-get',
      `printf '#!/bin/sh\\necho "QEMU emulator version 10.0.2"\\n' >"${root}/bin/qemu-system-x86_64"; chmod 755 "${root}/bin/qemu-system-x86_64"`,
    );
    expect((await setup('none')).exitCode).toBe(0);
    expect(log()).toMatch(/^sudo env .*apt-get/m);
  });
});

describe('apt-get', () => {
  test('stale lists are fetched and the installation tried again', async () => {
    await hide('qemu-img');
    await stub(
      'apt-get',
      `case "$*" in
        *update*) touch "${root}/updated" ;;
        *) [ -e "${root}/updated" ] || { echo 'E: 404' >&2; exit 100; } ;;
      esac`,
    );
    const { exitCode, stderr } = await setup('none');
    expect(exitCode).toBe(0);
    expect(stderr).not.toContain('404');
  });

  test('what it says when it fails for good is shown', async () => {
    await hide('qemu-img');
    await stub(
      'apt-get',
      'case "$*" in *install*) echo "E: held broken packages" >&2; exit 100 ;; esac',
    );
    const { exitCode, stderr } = await setup('none');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('E: held broken packages');
  });
});

describe('other distributions', () => {
  test.each([
    ['ID=fedora\nPRETTY_NAME="Fedora Linux 43"', 'sudo dnf install qemu-img qemu-system-x86-core'],
    ['ID=endeavouros\nID_LIKE=arch', 'sudo pacman -S qemu-img qemu-system-x86'],
    ['ID=void', 'by their names in Debian: qemu-system-x86 qemu-utils'],
  ])('%s: names the packages', async (release, wanted) => {
    await system(release);
    await hide('qemu-img');
    await hide('qemu-system-x86_64');
    const { exitCode, stderr } = await setup('none');
    expect(exitCode).toBe(1);
    expect(stderr).toContain(wanted);
    expect(log()).not.toContain('apt-get');
  });

  test('a Debian relative whose QEMU is too old is told so', async () => {
    await system('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04 LTS"');
    await qemu('8.2.2');
    const { exitCode, stderr } = await setup('none');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('QEMU 9.2 or newer is needed, Ubuntu 24.04 LTS has 8.2');
    expect(log()).toMatch(/apt-get .* install qemu-system-x86$/m);
  });
});

test.each([
  ['none', [], ['tcpdump', 'busybox-static']],
  ['demo', ['tcpdump', 'binutils'], ['busybox-static']],
  ['test', ['tcpdump', 'binutils', 'busybox-static'], ['mmdebstrap']],
  [
    'slow',
    ['tcpdump', 'busybox-static', 'mmdebstrap', 'mtools', 'tigervnc-viewer'],
    ['fakeroot', 'uidmap'],
  ],
])('for %s it installs what that needs, not more', async (purpose, wanted, unwanted) => {
  // What the stub installs stays missing, so that the demo guest cannot be made: only the calls count.
  await setup(purpose);
  for (const name of wanted) expect(log()).toMatch(new RegExp(`^apt-get .*install.* ${name}`, 'm'));
  for (const name of unwanted) expect(log()).not.toContain(name);
});

test('an unknown purpose is refused', async () => {
  expect(await setup('everything')).toMatchObject({ exitCode: 2 });
});
