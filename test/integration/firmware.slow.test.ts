/** UEFI guests where there is firmware for them, and where there is none. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ADDRESSES, Lab } from '../lab/index.ts';
import { AgentPlace, within } from './agent-place.ts';

const GUEST = 'bare';
const DISK_BYTES = 16 * 1024 ** 2;
/** Runs a command that finds none of the folders where firmware is installed. */
const WITHOUT_FIRMWARE = [
  ...['unshare', '--mount', 'sh', '-ec'],
  'for each in /usr/share/OVMF /usr/share/edk2; do [ ! -d $each ] || mount -t tmpfs none $each; done; exec "$@"',
  'sh',
];

let lab: Lab;
let device: AgentPlace;
let site: AgentPlace;

beforeAll(async () => {
  lab = await Lab.create();
  const common = { lab, logs: process.env.SOJOURN_TEST_LOGS ?? lab.directory };
  device = new AgentPlace({ ...common, side: 'device', name: 'laptop', flags: [] });
  site = new AgentPlace({
    ...{ ...common, side: 'site', name: 'cloud' },
    flags: [
      ...['--listen', '0.0.0.0:7420', '--advertise', ADDRESSES.site4, '--tap', 'sojourn0'],
      ...['--hoa4', ADDRESSES.hoaPrefix4, '--hoa6', ADDRESSES.hoaPrefix6],
    ],
  });
  // Nothing boots from its disk: it stays in its firmware, which is a guest like any other.
  const image = join(lab.directory, 'image');
  await mkdir(image);
  await writeFile(join(image, 'disk.raw'), Buffer.alloc(DISK_BYTES));
  const manifest = {
    name: 'bare',
    architecture: 'x86_64',
    boot: { kind: 'uefi' },
    disks: [{ name: 'disk0', base: { file: 'disk.raw' }, baseFormat: 'raw' }],
    defaults: { memoryMiB: 256, vcpus: 1 },
  };
  await writeFile(join(image, 'image.json'), JSON.stringify(manifest));
  await Promise.all([device.start(), site.start(WITHOUT_FIRMWARE)]);
  for (const place of [device, site]) await place.sojourn('image', 'import', image);
  const { invite } = await site.api.call('place.invite', {});
  await device.api.call('place.pair', { invite });
});

afterAll(async () => {
  device?.close();
  site?.close();
  await lab?.close();
});

test('a place without firmware makes no UEFI guest and takes none', async () => {
  const create = ['guest', 'create', GUEST, '--image', 'bare', '--overlay-limit', '64M'];
  await expect(site.sojourn(...create)).rejects.toThrow(/no UEFI firmware.*Install.*ovmf/s);
  expect(await site.guest(GUEST)).toBeUndefined();
  await device.sojourn(...create);
  await device.sojourn('guest', 'start', GUEST);
  await expect(device.sojourn('handoff', GUEST, '--to', 'cloud')).rejects.toThrow(
    /cloud has no UEFI firmware.*goes on here/s,
  );
  expect((await device.guest(GUEST))?.state.kind).toBe('running');
  expect(site.guestPids()).toEqual([]);
});

test('with firmware it moves there and back, also while it is in its firmware', async () => {
  await site.terminate();
  await site.start();
  await device.sojourn('handoff', GUEST, '--to', 'cloud');
  expect((await site.guest(GUEST))?.state.kind).toBe('running');
  await device.sojourn('handoff', GUEST, '--to', 'laptop');
  expect((await device.guest(GUEST))?.state.kind).toBe('running');
  const stopped = device.sojourn('guest', 'stop', GUEST, '--force');
  await within(stopped, 30_000, 'it to be stopped');
  await device.sojourn('guest', 'delete', GUEST);
  expect(await device.guest(GUEST)).toBeUndefined();
});
