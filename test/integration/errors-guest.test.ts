/** What people are told when a guest cannot be made, started, stopped or written to; nothing is lost by it. */
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GuestView, Status } from '../../src/api/index.ts';
import { jsonLines } from '../cli/run-cli.ts';
import { ErrorsLab, expectReadable, type LabAgent } from './errors-lab.ts';

const MIB = 1024 ** 2;

let lab: ErrorsLab;
/** Anchors the addresses of its own guests, so that one agent is enough here. */
let site: LabAgent;
beforeAll(async () => {
  lab = await ErrorsLab.create();
  site = lab.site();
  expect(await site.start()).toBeUndefined();
  await site.ok('image', 'import', await lab.tinyImage());
  await site.ok('guest', 'create', 'desk', '--image', 'tiny', '--overlay-limit', '8M');
});
afterAll(async () => lab?.[Symbol.asyncDispose]());

const guests = async () => (await site.ok<GuestView[]>('guest', 'list')).map(({ name }) => name);

describe('a guest that cannot be made', () => {
  const NAME = /The name of a guest has 1 to 40 lower-case letters, digits and dashes/;
  test.each<[string, string[], RegExp]>([
    ['a name with a blank', ['Desk top'], NAME],
    ['a name that is a path', ['../desk'], NAME],
    ['a name of control characters', ['a\u001b[31mb'], NAME],
    ['a name in another script', ['стол'], NAME],
    ['a long name', ['x'.repeat(41)], NAME],
    ['no name', [''], NAME],
    ['little memory', ['a', '--memory', '1'], /A guest has from 64 MiB to 1 TiB of memory/],
    ['too many processors', ['a', '--vcpus', '65'], /A guest has from 1 to 64 processors/],
    ['a small limit', ['a', '--overlay-limit', '1K'], /An overlay limit is from 1 MiB to 1 PiB/],
  ])('%s', async (_name, args, line) => {
    const create = ['guest', 'create', '--image', 'tiny', ...args];
    await site.fails(create, { exit: 2, code: 'input-invalid', line });
  });

  test('its name is taken', async () => {
    await site.fails(['guest', 'create', 'desk', '--image', 'tiny'], {
      exit: 4,
      code: 'guest-exists',
      line: /There is already a guest named desk here\. Choose another name, or delete that guest with "sojourn guest delete desk"/,
    });
  });

  test('its image is not known', async () => {
    await site.fails(['guest', 'create', 'a', '--image', 'windows'], {
      exit: 3,
      code: 'image-unknown',
      line: /No image in the store is or contains windows\. Import one with "sojourn image import FOLDER"/,
    });
  });

  test('its accelerator does not exist here', async () => {
    await site.fails(['guest', 'create', 'a', '--image', 'tiny', '--accelerator', 'whpx'], {
      exit: 5,
      code: 'accelerator-unusable',
      line: /The accelerator whpx cannot be used on this machine\. Leave --accelerator out .*"sojourn doctor"/,
    });
  });

  test('a device has no site that gives it an address', async () => {
    const device = lab.device('alone');
    expect(await device.start()).toBeUndefined();
    await device.ok('image', 'import', await lab.tinyImage());
    await device.fails(['guest', 'create', 'a', '--image', 'tiny'], {
      exit: 5,
      code: 'no-home-site',
      line: /A guest needs a site that anchors its permanent address, and none is paired\. Run "sojourn invite" at a site and "sojourn pair" here/,
    });
    expect(await device.ok('guest', 'list')).toEqual([]);
    await device.fails(['invite'], {
      exit: 4,
      code: 'not-a-site',
      line: /Invites are made by sites; .*Run "sojourn invite" at a site/,
    });
    await device.ok('stop', '--guests');
  });

  afterAll(async () => expect(await guests()).toEqual(['desk']));
});

test('KVM that is there and does not work is not used, and refused with the reason', async () => {
  const mounts = '[ ! -e /dev/kvm ] || mount --bind /dev/null /dev/kvm';
  const args = ['--profile', 'site', '--listen', '127.0.0.1:7450'];
  const homes = ['--hoa4', '10.78.0.0/24', '--hoa6', '2001:db8:7800::/48'];
  const agent = lab.agent('no-kvm', [...args, ...homes], { mounts });
  expect(await agent.start()).toBeUndefined();
  await agent.ok('image', 'import', await lab.tinyImage());
  await agent.fails(['guest', 'create', 'a', '--image', 'tiny', '--accelerator', 'kvm'], {
    exit: 5,
    code: 'accelerator-unusable',
    line: /KVM cannot be used here: \/dev\/kvm (is not there|opens, but .+)\. Leave --accelerator out to create the guest with what works here; "sojourn doctor" tells more/,
  });
  const made = await agent.ok<GuestView>('guest', 'create', 'a', '--image', 'tiny');
  expect(made.accelerator).toBe('tcg');
  expect(made.notices).toEqual([
    expect.objectContaining({
      code: 'software-emulation',
      remedy: expect.stringContaining('"sojourn doctor"'),
    }),
  ]);
  const { agent: info } = await agent.ok<Status>('status');
  expect(info.accelerator).toMatchObject({
    accelerator: 'tcg',
    kvm: { reason: expect.stringContaining('/dev/kvm') },
  });
  await agent.ok('stop', '--guests');
});

describe('a base image', () => {
  const start = ['guest', 'start', 'desk'];
  const blob = async () => {
    const [image] = await site.call('image.list', {});
    return join(site.state, 'images', 'sha256', image?.disks[0]?.digest ?? '');
  };

  test('is missing', async () => {
    const path = await blob();
    const content = await readFile(path);
    await rm(path);
    const wanted = {
      exit: 5,
      code: 'image-missing',
      line: /The image file [0-9a-f]{16} is not in the image store\. Import the image again with "sojourn image import FOLDER"/,
    };
    await site.fails(start, wanted);
    await site.fails(['guest', 'create', 'a', '--image', 'tiny'], wanted);
    await writeFile(path, content, { mode: 0o444 });
  });

  test('has another content than its name says', async () => {
    const path = await blob();
    const content = await readFile(path);
    await rm(path);
    await writeFile(path, Buffer.concat([Buffer.from('!'), content.subarray(1)]));
    const wanted = {
      exit: 5,
      code: 'image-digest-wrong',
      line: /The content of \S+ is not what its name promises: expected [0-9a-f]{12,64}, found [0-9a-f]{12,64}\. Get an undamaged copy and import it with "sojourn image import FOLDER"/,
    };
    await site.fails(start, wanted);
    await site.fails(['guest', 'create', 'a', '--image', 'tiny'], wanted);
    await rm(path);
    await writeFile(path, content, { mode: 0o444 });
  });

  test('to be imported has another content than its description says', async () => {
    const folder = await lab.tinyImage('other');
    const path = join(folder, 'image.json');
    const image = JSON.parse(await readFile(path, 'utf8'));
    image.boot.initrd.digest = 'ab'.repeat(32);
    await writeFile(path, JSON.stringify(image));
    const before = await readdir(join(site.state, 'images', 'sha256'));
    await site.fails(['image', 'import', folder], {
      exit: 5,
      code: 'image-digest-wrong',
      line: /The content of \S*initrd is not what its name promises: expected (ab){8}, found/,
    });
    expect((await site.call('image.list', {})).map(({ name }) => name)).toEqual(['tiny']);
    expect(await readdir(join(site.state, 'images', 'sha256'))).toEqual(before);
  });

  test('to be imported is not there, or not an image', async () => {
    await site.fails(['image', 'import', '/nonexistent'], {
      exit: 3,
      code: 'image-source-missing',
      line: /\/nonexistent is missing or is not a file\. Name a folder with an image\.json/,
    });
    const path = join(lab.directory, 'note.json');
    await writeFile(path, '{"hello":1}');
    await site.fails(['image', 'import', path], {
      exit: 2,
      code: 'image-manifest-wrong',
      line: /note\.json does not describe an image: .*\. Correct the file, or get the image again/,
    });
  });

  afterAll(async () => {
    expect(await site.stateOf('desk')).toBe('stopped');
    expect(lab.guestProcesses()).toEqual([]);
  });
});

describe('a guest that is not running', () => {
  test('is started twice at once: one is told that the other does it', async () => {
    const runs = await Promise.all([
      site.cli('guest', 'start', 'desk', '--json'),
      site.cli('guest', 'start', 'desk', '--json'),
    ]);
    expect(runs.map(({ code }) => code).sort()).toEqual([0, 4]);
    const refused = runs.find(({ code }) => code === 4);
    expectReadable(refused?.stderr ?? '');
    expect(refused?.stderr).toMatch(/desk is (just being started or stopped|running already)\. \S/);
    expect(lab.guestProcesses()).toHaveLength(1);
    expect(await site.stateOf('desk')).toBe('running');
    await site.ok('guest', 'stop', 'desk', '--force');
    expect(lab.guestProcesses()).toEqual([]);
  });

  test.each<[string, string[], number, string, RegExp]>([
    [
      'stopped',
      ['guest', 'stop', 'desk'],
      4,
      'not-running',
      /desk is not running\. See "sojourn guest show desk"/,
    ],
    [
      'looked at',
      ['guest', 'console', 'desk'],
      4,
      'not-running',
      /desk is not running, and its console is where it runs\. Start it with "sojourn guest start desk"/,
    ],
    [
      'decided about',
      ['guest', 'recover', 'desk'],
      4,
      'not-in-doubt',
      /Nothing about desk is in doubt\. See "sojourn guest show desk"/,
    ],
    [
      'not known',
      ['guest', 'start', 'nope'],
      3,
      'guest-unknown',
      /There is no guest "nope" \(known here: desk\)\. See "sojourn guest list"/,
    ],
    [
      'not known by a strange name',
      ['guest', 'start', '$(id)\u001b[2J'],
      3,
      'guest-unknown',
      /There is no guest "\$\(id\)\\u001b\[2J"/,
    ],
    [
      'named by nothing',
      ['guest', 'start', ''],
      2,
      'input-invalid',
      /A guest or place is named by 1 to 64 characters of its name or id/,
    ],
    [
      'given a limit that is none',
      ['guest', 'limit', 'desk', 'lots'],
      2,
      'size-malformed',
      /"lots" is not a size\. Write it like 512M or 2G/,
    ],
  ])('is %s', async (_name, args, exit, code, line) => {
    await site.fails(args, { exit, code, line });
    expect(await site.stateOf('desk')).toBe('stopped');
  });
});

describe('a guest that runs', () => {
  test('is started, or deleted, and runs on', async () => {
    await site.ok('guest', 'start', 'desk');
    await site.fails(['guest', 'start', 'desk'], {
      exit: 4,
      code: 'already-running',
      line: /desk is running already\. See "sojourn guest show desk" for its state/,
    });
    await site.fails(['guest', 'delete', 'desk', '--yes'], {
      exit: 4,
      code: 'guest-running',
      line: /desk is running\. Stop it with "sojourn guest stop desk", or delete it with "sojourn guest delete desk --force"/,
    });
    expect(await site.stateOf('desk')).toBe('running');
  });

  test('reaches its overlay limit: it is paused, says how to go on, goes on and has lost nothing', async () => {
    const shell = await site.shell('desk');
    const sum = await shell.run(
      'dd if=/dev/urandom of=/tmp/data bs=1M count=12 2>/dev/null; md5sum < /tmp/data',
    );
    shell.send('dd if=/tmp/data of=/dev/vda bs=1M conv=fsync 2>/dev/null; echo WRITTEN:$?');
    const state = await site.reaches('desk', 'paused');
    expect(state).toMatchObject({ reason: 'overlay-limit' });

    const shown = await site.cli('guest', 'show', 'desk');
    expect(shown.stdout).toMatch(/^state +paused \(its overlay is full\)$/m);
    expect(shown.stderr).toMatch(
      /^error: The guest is paused: the overlay of disk0 has reached its limit\. Give it more room with "sojourn guest limit desk SIZE"; it then goes on where it was$/m,
    );
    await site.fails(['guest', 'limit', 'desk', '4M'], {
      exit: 2,
      code: 'overlay-limit-small',
      line: /The overlay limit of a running guest can only be raised, and it is 8 MiB now\. Choose more than 8 MiB/,
    });
    await site.fails(['guest', 'stop', 'desk'], {
      exit: 4,
      code: 'guest-paused',
      line: /desk is paused, because there is no room for what it writes, and cannot shut itself down\. Give it more room with "sojourn guest limit desk SIZE", or stop it with "sojourn guest stop desk --force"/,
    });
    expect(await site.stateOf('desk')).toBe('paused');

    expect(await site.ok<GuestView>('guest', 'limit', 'desk', '32M')).toMatchObject({
      state: { kind: 'running' },
      overlay: { limitBytes: 32 * MIB },
    });
    expect((await shell.waitFor('WRITTEN:0')).length).toBeGreaterThanOrEqual(0);
    expect(await shell.run('dd if=/dev/vda bs=1M count=12 2>/dev/null | md5sum')).toBe(sum);
    shell.close();
    await site.ok('guest', 'stop', 'desk');
    const kept = join(
      site.state,
      'guests',
      (await site.guest('desk')).id.replaceAll('-', '').slice(0, 12),
      'disk0.qcow2',
    );
    expect((await stat(kept)).size).toBeGreaterThan(12 * MIB);
  });

  test('has stopped: its limit cannot become less than what it has written, and can become more', async () => {
    await site.fails(['guest', 'limit', 'desk', '4M'], {
      exit: 2,
      code: 'overlay-limit-small',
      line: /desk has written 1\d MiB to disk0, and a limit of 4 MiB is less than that\. Choose 1\d MiB or more/,
    });
    expect((await site.guest('desk')).overlay).toMatchObject({ limitBytes: 32 * MIB });
    await site.ok('guest', 'limit', 'desk', '2G');
    await site.ok('guest', 'start', 'desk');
    await site.ok('guest', 'stop', 'desk', '--force');
  });

  test('keeps its overlay on disk, and has its limit raised while it is stopped', async () => {
    const limited = ['--overlay', 'disk', '--overlay-limit', '8M'];
    await site.ok('guest', 'create', 'shelf', '--image', 'tiny', ...limited);
    await site.ok('guest', 'start', 'shelf');
    await site.ok('guest', 'stop', 'shelf', '--force');
    await site.ok('guest', 'limit', 'shelf', '1G');
    await site.ok('guest', 'start', 'shelf');
    await site.ok('guest', 'delete', 'shelf', '--yes', '--force');
  });

  test('has no memory here: it is not started', async () => {
    await site.ok('guest', 'create', 'huge', '--image', 'tiny', '--memory', '1024G');
    await site.fails(['guest', 'start', 'huge'], {
      exit: 5,
      code: 'memory-short',
      line: /huge cannot run here: cloud has \d+ MiB of memory free, this guest needs 1048\d+ MiB\. Free memory at cloud, or stop another guest there/,
    });
    await site.ok('guest', 'create', 'wide', '--image', 'tiny', '--overlay-limit', '1000G');
    await site.fails(['guest', 'start', 'wide'], {
      exit: 5,
      code: 'overlay-memory-short',
      line: /There is room for \d+ MiB of disk changes in memory, 1024000 MiB are asked for\. Lower it with "sojourn guest limit GUEST SIZE"/,
    });
    expect(lab.guestProcesses()).toEqual([]);
    for (const name of ['huge', 'wide']) {
      expect(await site.stateOf(name)).toBe('stopped');
      await site.ok('guest', 'delete', name, '--yes');
    }
    expect(await guests()).toEqual(['desk']);
  });
});

test('what is typed wrong says where the right form stands', async () => {
  const run = await site.cli('guest', 'start', 'desk', '--jsno');
  expect(run).toMatchObject({ code: 2, stdout: '' });
  expect(run.stderr).toMatch(/Unknown option '--jsno'.*See "sojourn guest start --help"/);
  expectReadable(run.stderr);
  for (const args of [
    ['guest', 'start'],
    ['guest', 'begin', 'desk'],
    ['guest', 'start', 'a', 'b'],
  ]) {
    const { code, stderr, stdout } = await site.cli(...args, '--json');
    expect(code).toBe(2);
    expectReadable(stderr);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ error: { code: 'command-line' } });
  }
});
