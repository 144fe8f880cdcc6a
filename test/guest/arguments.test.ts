import { expect, test } from 'vitest';
import { buildArguments, type GuestRuntime } from '../../src/guest/index.ts';
import { tinySpec } from '../lab/tiny-guest.ts';
import { sampleFirmware } from './samples.ts';

const spec = tinySpec();
const runtime: GuestRuntime = {
  binary: 'qemu-system-x86_64',
  directory: '/run/one,two',
  disks: [
    { name: 'disk0', overlayPath: '/mem/o,1.qcow2', basePath: '/images/b', limitBytes: 10_000_001 },
  ],
  kernelPath: '/images/k',
  initrdPath: '/images/i',
  netSocket: '/run/net,port',
  incoming: false,
};

/** Values that follow an option, in order. */
function values(args: readonly string[], option: string): string[] {
  return args.flatMap((arg, at) => (args[at - 1] === option ? [arg] : []));
}

test('two places differ in paths and in waiting only', () => {
  const there: GuestRuntime = JSON.parse(JSON.stringify(runtime).replaceAll('/run/', '/other/'));
  const here = buildArguments(spec, runtime);
  const incoming = buildArguments(spec, { ...there, incoming: true });
  expect(incoming.slice(-3)).toEqual(['-incoming', 'defer', '-S']);
  expect(incoming.slice(0, -3).map((arg) => arg.replaceAll('/other/', '/run/'))).toEqual(here);
  expect(here).not.toContain('-S');
  expect(buildArguments(spec, { ...runtime, paused: true }).at(-1)).toBe('-S');
});

test('every device has a slot of its own, and no boot ROM', () => {
  const base = spec.abi.disks[0];
  if (base === undefined) throw new Error('no disk');
  const disks = Array.from({ length: 8 }, (_, at) => ({ ...base, name: `disk${at}` }));
  const local = disks.map(({ name }) => ({ ...runtime.disks[0], name })) as GuestRuntime['disks'];
  const args = buildArguments(
    { ...spec, abi: { ...spec.abi, disks } },
    { ...runtime, disks: local },
  );
  const devices = values(args, '-device');
  const slots = devices.flatMap((device) => /addr=(0x[0-9a-f]+)/.exec(device)?.[1] ?? []);
  expect(slots).toHaveLength(12);
  expect(new Set(slots).size).toBe(12);
  // Frozen: a guest that was created with these must find them again.
  expect(slots.slice(0, 5)).toEqual(['0x5', '0x2', '0x3', '0x6', '0x8']);
  expect(devices.find((device) => device.startsWith('virtio-net'))).toMatch(
    /host_mtu=1380,romfile=$/,
  );
});

test('a screen has its frozen slots and a socket of its own; without one nothing of it is there', () => {
  const seen = { ...spec, abi: { ...spec.abi, version: 2, display: 'vga' } } as const;
  const args = buildArguments(seen, runtime);
  expect(values(args, '-device').find((device) => device.startsWith('VGA'))).toBe(
    'VGA,id=display0,bus=pcie.0,addr=0x01,vgamem_mb=16,romsize=65536',
  );
  expect(values(args, '-device').find((device) => device.includes('tablet'))).toMatch(/addr=0x7/);
  expect(values(args, '-vnc')).toEqual([
    'unix:/run/one,,two/vnc.sock,share=force-shared,connections=16,power-control=off,key-delay-ms=0',
  ]);
  expect(values(args, '-machine')[0]).not.toMatch(/i8042|graphics/);
  const without = buildArguments(spec, runtime);
  expect(without).not.toContain('-vnc');
  expect(values(without, '-machine')[0]).toMatch(/i8042=off,graphics=off/);
});

test('a clipboard has a port of its own, and a guest without one keeps the channel it was created with', () => {
  const display = { display: 'vga' } as const;
  const args = (abi: object) =>
    buildArguments({ ...spec, abi: { ...spec.abi, ...display, ...abi } as never }, runtime);
  const with3 = args({ version: 3, clipboard: 'vdagent' });
  expect(values(with3, '-chardev')).toContain(
    'socket,id=vdagent,path=/run/one,,two/vdagent.sock,server=on,wait=off',
  );
  expect(values(with3, '-device')).toContain(
    'virtserialport,bus=agent-channel.0,nr=2,chardev=vdagent,name=com.redhat.spice.0',
  );
  expect(values(with3, '-device')[0]).toMatch(/max_ports=3$/);
  const with2 = args({ version: 2 });
  expect(values(with2, '-device')[0]).toMatch(/max_ports=2$/);
  expect(with2.join()).not.toMatch(/vdagent/);
});

test('the overlay is limited by a raw node between qcow2 and its file', () => {
  const nodes = values(buildArguments(spec, runtime), '-blockdev').map((text) => JSON.parse(text));
  expect(nodes.map((node) => node['node-name'])).toEqual([
    'disk0-base',
    'disk0-store',
    'disk0-file',
    'disk0-overlay',
    'disk0',
  ]);
  expect(nodes[0]).toMatchObject({ 'read-only': true, file: { filename: '/images/b' } });
  expect(nodes[1]).toMatchObject({ filename: '/mem/o,1.qcow2', cache: { 'no-flush': true } });
  // Whole sectors, never more than the limit.
  expect(nodes[2]).toMatchObject({ driver: 'raw', file: 'disk0-store', size: 9_999_872 });
  expect(nodes[3]).toMatchObject({ driver: 'qcow2', file: 'disk0-file', backing: 'disk0-base' });
  // What the guest discards goes through the filter.
  expect(nodes[4]).toMatchObject({ driver: 'throttle', file: 'disk0-overlay', discard: 'unmap' });
  const onDisk = buildArguments({ ...spec, overlayStorage: 'disk' }, runtime);
  expect(JSON.parse(values(onDisk, '-blockdev')[3] ?? '')).toMatchObject({
    cache: { 'no-flush': false },
  });
});

test('a path with commas stays one value', () => {
  const args = buildArguments(spec, runtime);
  const chardevs = values(args, '-chardev');
  expect(chardevs[0]).toBe('socket,id=qmp,path=/run/one,,two/qmp.sock,server=on,wait=off');
  expect(JSON.parse(values(args, '-netdev')[0] ?? '')).toMatchObject({
    type: 'stream',
    server: false,
    addr: { type: 'unix', path: '/run/net,port' },
    'reconnect-ms': 100,
  });
});

test('the sandbox is on, defaults are off, and the CPU is enforced', () => {
  const args = buildArguments(spec, runtime);
  expect(values(args, '-sandbox')[0]).toMatch(/^on,.*spawn=deny/);
  expect(args).toEqual(expect.arrayContaining(['-nodefaults', '-no-user-config']));
  expect(values(args, '-cpu')).toEqual(['Nehalem,enforce']);
  expect(values(args, '-uuid')).toEqual([spec.id]);
  expect(values(args, '-append')).toEqual([expect.stringContaining('console=ttyS0')]);
});

test('a BIOS guest boots from its first disk', () => {
  const bios = { ...spec, abi: { ...spec.abi, boot: { kind: 'bios' as const } } };
  const args = buildArguments(bios, runtime);
  expect(args).not.toContain('-kernel');
  expect(values(args, '-device').filter((device) => device.includes('bootindex=1'))).toHaveLength(
    1,
  );
});

test('a UEFI guest has its firmware in two flash chips, and only the second can be written', () => {
  const boot = { kind: 'uefi' as const, firmware: sampleFirmware };
  const uefi = { ...spec, abi: { ...spec.abi, boot } };
  expect(() => buildArguments(uefi, runtime)).toThrow(/where the UEFI firmware is/);
  const firmware = { codePath: '/fw/c,ode', codeFormat: 'qcow2', variablesPath: '/vars' } as const;
  const args = buildArguments(uefi, { ...runtime, firmware });
  expect(values(args, '-machine')[0]).toMatch(/pflash0=firmware-code,pflash1=firmware-var/);
  const nodes = values(args, '-blockdev').map((text) => JSON.parse(text));
  expect(nodes.slice(0, 2)).toMatchObject([
    { driver: 'qcow2', 'read-only': true, file: { filename: '/fw/c,ode', 'read-only': true } },
    { driver: 'raw', file: { filename: '/vars' } },
  ]);
  expect(nodes[1]).not.toHaveProperty('read-only');
  expect(args).not.toContain('-kernel');
});

test('a runtime that does not fit the spec is a defect', () => {
  const { kernelPath: _, ...withoutKernel } = runtime;
  expect(() => buildArguments(spec, withoutKernel)).toThrow(/where the kernel is/);
  expect(() => buildArguments(spec, { ...runtime, disks: [] })).toThrow(/where the disk disk0 is/);
});
