/**
 * The QEMU command line of a guest: pure, and the same at every place but for paths. Slots on the root bus, fixed
 * for good, because they are part of the guest's ABI:
 *
 *   0x01 display   0x02 network   0x03 balloon   0x05 agent channel   0x06 random numbers
 *   0x07 pointer   0x08 .. 0x0f disks in the spec's order
 *
 * Ports of the agent channel: 1 QEMU's guest agent, 2 the agent of the clipboard. Their number is in the guest's state.
 *
 * Nothing here reads a clock, a file or the environment.
 */
import { SojournError } from '../common/index.ts';
import type { Architecture } from './probe.ts';
import { type DiskRuntime, type GuestRuntime, guestPaths } from './runtime.ts';
import { displayOf, type GuestAbi, type GuestDisk, type GuestSpec, hasClipboard } from './spec.ts';
import { VDAGENT_PORT_NAME } from './vdagent/index.ts';

/** MTU of every guest in every mode, bytes (DESIGN, "Network"). */
export const GUEST_MTU = 1380;
/** Where QEMU's own reconnection to a restarted switch tries again, milliseconds. */
const NET_RECONNECT_MS = 100;
/** Translated code kept by TCG, MiB; QEMU's default of 1 GiB would make small guests take a lot of memory. */
const TCG_CODE_MIB = 256;
/** Block nodes are whole sectors long. */
const SECTOR_BYTES = 512;
/** The throttle group of all filters. */
const NO_LIMIT = 'no-limit';
const FIRST_DISK_SLOT = 0x08;
const SLOTS = {
  display: 0x01,
  net: 0x02,
  balloon: 0x03,
  agentChannel: 0x05,
  rng: 0x06,
  pointer: 0x07,
} as const;
/** Picture memory, MiB: up to 2560x1600. Part of the ABI, as is the room for the video BIOS, bytes. */
export const VGA_MEMORY_MIB = 16;
const VGA_ROM_BYTES = 64 * 1024;
/** Viewers of one screen. */
const MAX_VIEWERS = 16;

/** Default devices that no guest here uses; each would cost room in the switchover's residue. */
const MACHINE_OPTIONS: Record<Architecture, string> = {
  x86_64: 'hpet=off,smbus=off,sata=off,vmport=off,usb=off',
  aarch64: 'gic-version=3,usb=off',
};
/** No description of the migration stream at its end: it is for debuggers, and would cross the link while the guest is paused. */
const STREAM = ',suppress-vmdesc=on';
/** Firmware, boot loaders and every system know a PS/2 keyboard; it is a few hundred bytes of state. */
const HEADLESS: Record<Architecture, string> = { x86_64: ',i8042=off,graphics=off', aarch64: '' };

const SANDBOX = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny';

/** Throws SojournError (`internal`) when the runtime does not fit the spec: a defect of the caller. */
export function buildArguments(spec: GuestSpec, runtime: GuestRuntime): string[] {
  const { abi } = spec;
  const paths = guestPaths(runtime.directory);
  return [
    ...['-name', `guest=${spec.name},debug-threads=on`],
    ...['-uuid', spec.id],
    ...['-nodefaults', '-no-user-config'],
    ...['-display', 'none'],
    ...['-sandbox', SANDBOX],
    ...['-machine', machine(abi)],
    ...[
      '-accel',
      abi.accelerator === 'tcg' ? `tcg,thread=multi,tb-size=${TCG_CODE_MIB}` : abi.accelerator,
    ],
    // `enforce`: better no guest than one whose CPU silently lacks what its ABI promises.
    ...['-cpu', `${abi.cpu},enforce`],
    ...['-smp', `cpus=${abi.vcpus},sockets=1,cores=${abi.vcpus},threads=1`],
    ...['-m', `size=${abi.memoryMiB}M`],
    ...['-rtc', 'base=utc,clock=host'],
    ...boot(abi, runtime),
    ...socketChardev('qmp', paths.qmpSocket),
    ...['-mon', 'chardev=qmp,mode=control'],
    ...socketChardev('console', paths.consoleSocket, {
      logfile: paths.consoleLog,
      logappend: 'on',
    }),
    ...['-serial', 'chardev:console'],
    ...socketChardev('guest-agent', paths.guestAgentSocket),
    ...[
      '-device',
      pci('virtio-serial-pci', SLOTS.agentChannel, {
        id: 'agent-channel',
        max_ports: hasClipboard(abi) ? 3 : 2,
      }),
    ],
    ...[
      '-device',
      'virtserialport,bus=agent-channel.0,nr=1,chardev=guest-agent,name=org.qemu.guest_agent.0',
    ],
    ...(hasClipboard(abi) ? clipboardArguments(paths.vdagentSocket) : []),
    ...['-netdev', JSON.stringify(netdev(runtime.netSocket))],
    ...[
      '-device',
      // Without the boot ROM, whose size may differ between builds and would then break migration.
      pci('virtio-net-pci', SLOTS.net, {
        id: 'net0',
        netdev: 'net0',
        mac: abi.mac,
        host_mtu: GUEST_MTU,
        romfile: '',
      }),
    ],
    ...[
      '-device',
      pci('virtio-balloon-pci', SLOTS.balloon, { id: 'balloon', 'free-page-reporting': 'on' }),
    ],
    ...['-object', 'rng-random,id=rng0,filename=/dev/urandom'],
    ...['-device', pci('virtio-rng-pci', SLOTS.rng, { id: 'rng', rng: 'rng0' })],
    ...(displayOf(abi) === undefined ? [] : screenArguments(paths.vncSocket)),
    ...['-object', `throttle-group,id=${NO_LIMIT}`],
    ...abi.disks.flatMap((disk, index) => diskArguments(spec, disk, index, runtime)),
    ...(runtime.incoming ? ['-incoming', 'defer'] : []),
    ...(runtime.incoming || runtime.paused === true ? ['-S'] : []),
  ];
}

/** Name of the node of a disk's overlay, under the filter that its device uses; QEMUs of earlier versions have none. */
export function overlayNode(diskName: string): string {
  return `${diskName}-overlay`;
}

/** Options of the raw node that limits an overlay; `blockdev-reopen` takes them again with a larger size. */
export function limitNode(diskName: string, limitBytes: number): Record<string, unknown> {
  return {
    driver: 'raw',
    'node-name': `${diskName}-file`,
    size: limitBytes - (limitBytes % SECTOR_BYTES),
    file: `${diskName}-store`,
    discard: 'unmap',
  };
}

function machine(abi: GuestAbi): string {
  const firmware =
    abi.boot.kind === 'uefi' ? ',pflash0=firmware-code,pflash1=firmware-variables' : '';
  const headless = displayOf(abi) === undefined ? HEADLESS[abi.architecture] : '';
  return `type=${abi.machine},${MACHINE_OPTIONS[abi.architecture]}${STREAM}${headless}${firmware}`;
}

function boot(abi: GuestAbi, runtime: GuestRuntime): string[] {
  switch (abi.boot.kind) {
    case 'kernel': {
      if (runtime.kernelPath === undefined) throw unfit('the kernel');
      const hasInitrd = abi.boot.initrd !== undefined;
      if (hasInitrd && runtime.initrdPath === undefined) throw unfit('the initial RAM disk');
      const initrd = hasInitrd && runtime.initrdPath ? ['-initrd', runtime.initrdPath] : [];
      return ['-kernel', runtime.kernelPath, ...initrd, '-append', abi.boot.commandLine];
    }
    case 'bios':
      return [];
    case 'uefi': {
      if (runtime.firmware === undefined) throw unfit('the UEFI firmware');
      const { codePath, codeFormat, variablesPath } = runtime.firmware;
      const code = { driver: codeFormat, 'read-only': true, file: file(codePath, true) };
      const variables = { driver: 'raw', file: file(variablesPath, false) };
      return [
        ...blockdev({ ...code, 'node-name': 'firmware-code' }),
        ...blockdev({ ...variables, 'node-name': 'firmware-variables' }),
      ];
    }
  }
}

/**
 * Plain VGA, because its picture is RAM, which pre-copy carries ahead; that of virtio-gpu would be device state, megabytes
 * that cross the link in the pause. VNC only ever on a unix socket of the guest's own directory.
 */
function screenArguments(vncSocket: string): string[] {
  const vga = {
    id: 'display0',
    bus: 'pcie.0',
    addr: `0x0${SLOTS.display}`,
    vgamem_mb: VGA_MEMORY_MIB,
    romsize: VGA_ROM_BYTES,
  };
  const options = Object.entries(vga).map(([key, value]) => `${key}=${value}`);
  return [
    ...['-device', ['VGA', ...options].join(',')],
    ...['-device', pci('virtio-tablet-pci', SLOTS.pointer, { id: 'pointer0' })],
    // Shared, so that several windows can show one screen. No delay of keys: what waits for it is lost when the guest moves.
    ...[
      '-vnc',
      `unix:${escapeComma(vncSocket)},share=force-shared,connections=${MAX_VIEWERS},power-control=off,key-delay-ms=0`,
    ],
  ];
}

/** A plain port: QEMU's own side of the SPICE agent (`qemu-vdagent`) forbids migration up to QEMU 10.0. */
function clipboardArguments(socket: string): string[] {
  return [
    ...socketChardev('vdagent', socket),
    ...[
      '-device',
      `virtserialport,bus=agent-channel.0,nr=2,chardev=vdagent,name=${VDAGENT_PORT_NAME}`,
    ],
  ];
}

function diskArguments(
  spec: GuestSpec,
  disk: GuestDisk,
  index: number,
  runtime: GuestRuntime,
): string[] {
  const local = runtime.disks.find(({ name }) => name === disk.name);
  if (local === undefined) throw unfit(`the disk ${disk.name}`);
  return [
    ...diskNodes(spec, disk, local).flatMap(blockdev),
    '-device',
    pci('virtio-blk-pci', FIRST_DISK_SLOT + index, {
      id: disk.name,
      drive: disk.name,
      serial: disk.name,
      // Only "no space" pauses the guest; any other error of the disk is the guest's to handle.
      werror: 'enospc',
      rerror: 'report',
      ...(abiBootsFromDisk(spec.abi) && index === 0 ? { bootindex: 1 } : {}),
    }),
  ];
}

/**
 * device -> filter -> overlay (qcow2, over the base) -> limit (raw with a size) -> store (the file). The raw node ends
 * before the file system does: beyond it QEMU reports ENOSPC and pauses the guest, whatever room the host has.
 *
 * The filter does nothing. QEMU lets one job at a time work on a node: with it there are two, one that a handoff mirrors
 * and one below that is copied to disk meanwhile. The guest does not see it.
 */
function diskNodes(
  spec: GuestSpec,
  disk: GuestDisk,
  local: DiskRuntime,
): Record<string, unknown>[] {
  // A tmpfs has nothing to flush to; the guest's fsync would cost time and gain nothing.
  const cache = { direct: false, 'no-flush': spec.overlayStorage === 'memory' };
  return [
    {
      driver: disk.baseFormat,
      'node-name': `${disk.name}-base`,
      'read-only': true,
      file: file(local.basePath, true),
    },
    { ...file(local.overlayPath, false), 'node-name': `${disk.name}-store`, cache },
    { ...limitNode(disk.name, local.limitBytes), cache },
    {
      driver: 'qcow2',
      'node-name': overlayNode(disk.name),
      file: `${disk.name}-file`,
      backing: `${disk.name}-base`,
      discard: 'unmap',
      'detect-zeroes': 'unmap',
      cache,
    },
    {
      driver: 'throttle',
      'node-name': disk.name,
      'throttle-group': NO_LIMIT,
      file: overlayNode(disk.name),
      discard: 'unmap',
      cache,
    },
  ];
}

function file(filename: string, readOnly: boolean): Record<string, unknown> {
  return readOnly
    ? { driver: 'file', filename, 'read-only': true }
    : { driver: 'file', filename, discard: 'unmap' };
}

function blockdev(options: Record<string, unknown>): string[] {
  return ['-blockdev', JSON.stringify(options)];
}

function netdev(path: string): Record<string, unknown> {
  const addr = { type: 'unix', path };
  return { type: 'stream', id: 'net0', server: false, addr, 'reconnect-ms': NET_RECONNECT_MS };
}

function pci(
  driver: string,
  slot: number,
  options: Readonly<Record<string, string | number>>,
): string {
  const all = { bus: 'pcie.0', addr: `0x${slot.toString(16)}`, 'disable-legacy': 'on', ...options };
  return [driver, ...Object.entries(all).map(([key, value]) => `${key}=${value}`)].join(',');
}

function socketChardev(
  id: string,
  path: string,
  extra: Readonly<Record<string, string>> = {},
): string[] {
  const options = { id, path, server: 'on', wait: 'off', ...extra };
  const text = Object.entries(options).map(([key, value]) => `${key}=${escapeComma(value)}`);
  return ['-chardev', ['socket', ...text].join(',')];
}

/** QemuOpts end a value at a comma; a doubled one stands for itself. */
export function escapeComma(value: string): string {
  return value.replaceAll(',', ',,');
}

function abiBootsFromDisk(abi: GuestAbi): boolean {
  return abi.boot.kind !== 'kernel';
}

function unfit(part: string): SojournError {
  return new SojournError({
    kind: 'internal',
    code: 'internal',
    message: `The guest's runtime does not say where ${part} is`,
  });
}
