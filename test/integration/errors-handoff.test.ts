/** What people are told when a guest cannot go where they want it; it goes on where it is. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { GuestView } from '../../src/api/index.ts';
import { CliProcess } from '../cli/run-cli.ts';
import { changedQemu, ErrorsLab, expectError, type LabAgent, type Wanted } from './errors-lab.ts';

let lab: ErrorsLab;
let device: LabAgent;
let site: LabAgent;
/** What the site takes for /proc/meminfo. */
let memory: string;
let enough: string;

/** "KVM" on the device: really software emulation, which the site is told not to be. */
const KVM = `#!/bin/sh
for a do shift; case "$a" in kvm) a=tcg;; esac; set -- "$@" "$a"; done
PATH=\${PATH#*:} exec qemu-system-x86_64 "$@"
`;

beforeAll(async () => {
  lab = await ErrorsLab.create();
  memory = join(lab.directory, 'meminfo');
  enough = await readFile('/proc/meminfo', 'utf8');
  await writeFile(memory, enough);
  const mounts = `mount --bind ${memory} /proc/meminfo; mount -t tmpfs -o size=32M tmpfs /dev/shm`;
  device = lab.agent('laptop', ['--profile', 'device', '--accelerator', 'kvm']);
  site = lab.site('cloud', { mounts, env: { XDG_RUNTIME_DIR: undefined } });
  await device.install('qemu-system-x86_64', KVM);
  await lab.join(device, site);
  const limit = ['--overlay-limit', '8M', '--image', 'tiny'];
  await device.ok('guest', 'create', 'desk', '--accelerator', 'tcg', ...limit);
  await device.ok('guest', 'start', 'desk');
});
afterAll(async () => lab?.[Symbol.asyncDispose]());

/** Fails as wanted, and everything is as before. */
async function stays(guest: string, wanted: Omit<Wanted, 'exit'> & { exit?: number }) {
  const before = await device.guest(guest);
  const processes = lab.guestProcesses();
  const error = await device.fails(['handoff', guest, '--to', 'cloud'], { exit: 5, ...wanted });
  expect(await device.guest(guest)).toMatchObject({ state: before.state, epoch: before.epoch });
  expect(lab.guestProcesses()).toEqual(processes);
  expect((await site.call('guest.list', {})).map(({ name }) => name)).not.toContain(guest);
  return error;
}

async function running(name: string, ...options: string[]): Promise<GuestView> {
  await device.ok('guest', 'create', name, '--image', 'tiny', ...options);
  return device.ok<GuestView>('guest', 'start', name);
}

const gone = (name: string) => device.ok('guest', 'delete', name, '--yes', '--force');
const GOES_ON = 'it goes on here as if nothing had happened';

describe('what the destination lacks', () => {
  afterEach(async () => {
    await writeFile(memory, enough);
    await rm(join(site.bin, 'qemu-system-x86_64'), { force: true });
  });

  test('memory', async () => {
    await writeFile(memory, 'MemTotal: 400000 kB\nMemAvailable: 307200 kB\n');
    await stays('desk', {
      code: 'memory-short',
      line: new RegExp(
        `desk was not handed to cloud: cloud has 300 MiB of memory free, this guest needs 456 MiB; ${GOES_ON}\\. Free memory at cloud, or stop another guest there`,
      ),
    });
  });

  test('room in memory for what the guest writes', async () => {
    await running('wide', '--accelerator', 'tcg', '--overlay-limit', '100M');
    await stays('wide', {
      code: 'disk-short',
      line: /wide was not handed to cloud: cloud has \d+ MiB of room for disk changes in memory, this guest needs 100 MiB; it goes on here.*\. Free room at cloud, or lower the overlay limit of the guest/,
    });
    await gone('wide');
  });

  test('room on disk for what the guest writes', async () => {
    await running('deep', '--accelerator', 'tcg', '--overlay', 'disk', '--overlay-limit', '4T');
    await stays('deep', {
      code: 'disk-short',
      line: /cloud has \d+ MiB of room for disk changes in its state directory, this guest needs 4194304 MiB/,
    });
    await gone('deep');
  });

  test('the accelerator', async () => {
    const { accelerator } = await running('fast', '--overlay-limit', '8M');
    expect(accelerator).toBe('kvm');
    await stays('fast', {
      code: 'accelerator-missing',
      line: /fast was not handed to cloud: this guest runs under kvm, which does not work at cloud \(there: tcg\); it goes on here.*\. Enable kvm at cloud, or create the guest with --accelerator tcg/,
    });
    await gone('fast');
  });

  test('a QEMU as new as the guest', async () => {
    await site.install('qemu-system-x86_64', changedQemu({ version: '9.2.0' }));
    await stays('desk', {
      code: 'qemu-too-old',
      line: /desk was not handed to cloud: cloud has QEMU 9\.2\.0, this guest needs \d+\.\d\.0 or newer; it goes on here.*\. Update QEMU at cloud/,
    });
  });

  test('a QEMU that Sojourn can use', async () => {
    await site.install('qemu-system-x86_64', changedQemu({ version: '7.2.13' }));
    await stays('desk', {
      code: 'qemu-too-old',
      line: /desk was not handed to cloud: qemu-system-x86_64 is QEMU 7\.2\.13, but 9\.2\.0 or newer is needed \(at cloud\); it goes on here.*\. Run "npm run setup"/,
    });
  });

  test('the machine type', async () => {
    const { machine } = await device.guest('desk');
    await site.install('qemu-system-x86_64', changedQemu({ hide: [machine] }));
    await stays('desk', {
      code: 'machine-type-missing',
      line: /desk was not handed to cloud: QEMU \S+ at cloud does not have the machine type pc-q35-\S+ any more; it goes on here.*\. Install a QEMU that still has pc-q35-\S+ at cloud, or create the guest again/,
    });
  });

  test('the processor', async () => {
    await site.install('qemu-system-x86_64', changedQemu({ hide: ['Nehalem'] }));
    await stays('desk', {
      code: 'cpu-model-missing',
      line: /desk was not handed to cloud: the processor at cloud cannot stand in for Nehalem, which this guest was created with; it goes on here.*\. Choose a place with a newer processor, or create the guest with an older CPU model/,
    });
  });

  test('the base image', async () => {
    const [image] = await site.call('image.list', {});
    const path = join(site.state, 'images', 'sha256', image?.disks[0]?.digest ?? '');
    const content = await readFile(path);
    await rm(path);
    await stays('desk', {
      code: 'image-missing',
      line: /desk was not handed to cloud: the image file [0-9a-f]{16} is not in the image store \(at cloud\); it goes on here.*\. Import the image again with "sojourn image import FOLDER"/,
    });
    await writeFile(path, Buffer.alloc(content.length, 1), { mode: 0o444 });
    await stays('desk', {
      code: 'image-digest-wrong',
      line: /the content of \S+ is not what its name promises: expected [0-9a-f]+, found [0-9a-f]+ \(at cloud\); it goes on here/,
    });
    await rm(path);
    await writeFile(path, content, { mode: 0o444 });
  });

  test('a free name', async () => {
    await site.ok('guest', 'create', 'twin', '--image', 'tiny');
    await running('twin', '--accelerator', 'tcg', '--overlay-limit', '8M');
    const wanted = {
      exit: 5,
      code: 'guest-exists',
      line: /twin was not handed to cloud: cloud has another guest named twin; it goes on here.*\. Delete one of the two/,
    };
    await device.fails(['handoff', 'twin', '--to', 'cloud'], wanted);
    expect(await device.stateOf('twin')).toBe('running');
    expect(await site.stateOf('twin')).toBe('stopped');
    await gone('twin');
    await site.ok('guest', 'delete', 'twin', '--yes');
  });

  test('several things: all are told at once', async () => {
    await writeFile(memory, 'MemTotal: 400000 kB\nMemAvailable: 307200 kB\n');
    await site.install('qemu-system-x86_64', changedQemu({ hide: ['Nehalem'] }));
    const { message } = await stays('desk', {
      code: 'cpu-model-missing',
      line: /Nehalem.*300 MiB/,
      several: true,
    });
    expect(message).toContain('the processor at cloud');
    expect(message).toContain('cloud has 300 MiB of memory free');
  });
});

test('a guest that could not come back does not leave', async () => {
  const { machine } = await device.guest('desk');
  await device.install('qemu-system-x86_64', changedQemu({ hide: [machine] }));
  await stays('desk', {
    code: 'no-way-back',
    line: /desk was not handed to cloud: it could not come back, because QEMU \S+ at laptop does not have the machine type pc-q35-\S+ any more; it goes on here.*\. Install a QEMU that still has pc-q35-\S+ at laptop/,
  });
  await device.install('qemu-system-x86_64', KVM);
});

test.each<[string, string[], Wanted]>([
  [
    'to a place that nobody knows',
    ['desk', '--to', 'moon'],
    {
      exit: 3,
      code: 'place-unknown',
      line: /There is no place "moon" \(known here: laptop, cloud\)\. See "sojourn places", or pair with it by "sojourn pair"/,
    },
  ],
  [
    'to where the guest is',
    ['desk', '--to', 'laptop'],
    {
      exit: 4,
      code: 'already-there',
      line: /desk is at laptop already\. Name another place; see "sojourn places"/,
    },
  ],
  [
    'to nowhere',
    ['desk'],
    {
      exit: 2,
      code: 'place-missing',
      line: /The place to go to is missing\. Name it with "sojourn handoff GUEST --to PLACE"/,
    },
  ],
  [
    'of a guest that nobody knows',
    ['nope', '--to', 'cloud'],
    {
      exit: 3,
      code: 'guest-unknown',
      line: /There is no guest "nope" \(known here: desk\)\. See "sojourn guest list"/,
    },
  ],
  [
    'that is not under way, cancelled',
    ['desk', '--cancel'],
    { exit: 4, code: 'no-handoff', line: /No handoff of desk is under way\. See "sojourn status"/ },
  ],
])('a handoff %s', async (_name, args, wanted) => {
  await device.fails(['handoff', ...args], wanted);
  expect(await device.stateOf('desk')).toBe('running');
});

test('a handoff of a stopped guest', async () => {
  await device.ok('guest', 'create', 'idle', '--image', 'tiny', '--accelerator', 'tcg');
  await device.fails(['handoff', 'idle', '--to', 'cloud'], {
    exit: 4,
    code: 'not-running',
    line: /idle is not running, and only a running guest can be handed over\. Start it with "sojourn guest start idle"/,
  });
  expect(await device.stateOf('idle')).toBe('stopped');
  await gone('idle');
});

test('a handoff while another of the guest runs, and whatever else has to wait for that', async () => {
  // The other place is there and does not answer.
  process.kill(site.pid, 'SIGSTOP');
  const first = new CliProcess(
    ['handoff', 'desk', '--to', 'cloud', '--json', '--state', device.state],
    device.environment,
  );
  await device.reaches('desk', 'moving-out');
  const wanted = {
    exit: 4,
    code: 'handoff-under-way',
    line: /A handoff of desk is under way( already)?\. Wait until it has ended, or cancel it with "sojourn handoff desk --cancel"/,
  };
  const others = [
    ['handoff', 'desk', '--to', 'cloud'],
    ['guest', 'stop', 'desk'],
    ['guest', 'limit', 'desk', '64M'],
    ['guest', 'delete', 'desk', '--yes', '--force'],
  ];
  for (const args of others) await device.fails(args, wanted);
  await device.ok('handoff', 'desk', '--cancel');
  expectError(await first.finished, {
    exit: 8,
    code: 'handoff-cancelled',
    line: /desk was not handed to cloud: the handoff was cancelled; it goes on here/,
  });
  process.kill(site.pid, 'SIGCONT');
  expect(await device.stateOf('desk')).toBe('running');
  expect(await site.call('guest.list', {})).toEqual([]);
});

test('two handoffs at once: one is done, the other is refused; then the guest is there and only there', async () => {
  const handoff = ['handoff', 'desk', '--to', 'cloud', '--json'];
  const runs = await Promise.all([device.cli(...handoff), device.cli(...handoff)]);
  expect(runs.map(({ code }) => code).sort()).toEqual([0, 4]);
  for (const run of runs.filter(({ code }) => code === 4))
    expectError(run, {
      exit: 4,
      code: 'handoff-under-way',
      line: /A handoff of desk is under way/,
    });
  expect(lab.guestProcesses()).toHaveLength(1);

  const elsewhere = {
    exit: 4,
    code: 'guest-elsewhere',
    line: /desk is at cloud\. Bring it here with "sojourn handoff desk --to laptop", or do this there/,
  };
  for (const action of [['start'], ['stop'], ['delete', '--yes'], ['limit', '1G']]) {
    const [verb = '', ...rest] = action;
    await device.fails(['guest', verb, 'desk', ...rest], elsewhere);
  }
  await device.fails(['guest', 'console', 'desk'], {
    ...elsewhere,
    line: /desk runs at cloud, and its console is where it runs\. Run "sojourn guest console desk" at cloud/,
  });
  await device.fails(handoff.slice(0, 4), {
    exit: 4,
    code: 'already-there',
    line: /desk is at cloud already\. Name another place; see "sojourn places"/,
  });
  expect(await site.stateOf('desk')).toBe('running');
  await device.ok('handoff', 'desk', '--to', 'laptop');
  expect(await device.stateOf('desk')).toBe('running');
  expect(lab.guestProcesses()).toHaveLength(1);
});

test('to a place that cannot be reached', async () => {
  await site.end();
  const before = await device.guest('desk');
  await device.fails(['handoff', 'desk', '--to', 'cloud'], {
    exit: 6,
    code: 'peer-unreachable',
    line: /cloud cannot be reached \(127\.0\.0\.1 port 7420: nothing listens there\)\. Check the network here, and that the agent on cloud is running/,
  });
  expect(await device.guest('desk')).toMatchObject({ state: before.state, epoch: before.epoch });
});
