/** The demo's guest as a QEMU of its own on a TAP, started as an agent would start it. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import {
  buildArguments,
  chooseAccelerator,
  freezeAbi,
  probeQemu,
} from '../../../src/guest/index.ts';
import type { GuestSpec } from '../../../src/guest/spec.ts';
import { DEMO_IMAGE } from '../places.ts';
import type { Twin } from '../qemu-arguments.ts';

const MEMORY_MIB = 512;
const OVERLAY_BYTES = 64 * 1024 ** 2;
const VERDICT = fileURLToPath(new URL('../../../.cache/sojourn/accelerator.json', import.meta.url));

const part = z.object({ file: z.string(), digest: z.string() });
const imageFile = z.looseObject({
  boot: z.object({
    kind: z.literal('kernel'),
    kernel: part,
    initrd: part,
    commandLine: z.string(),
  }),
  disks: z.array(z.looseObject({ name: z.string(), base: part, virtualBytes: z.int().positive() })),
});

export interface DemoGuest {
  readonly accelerator: string;
  readonly memoryMiB: number;
  readonly mac: string;
  /** QEMU's command line with a directory and a network that `twinOf` and `onTap` replace. */
  readonly argv: readonly string[];
}

export async function demoGuest(directory: string): Promise<DemoGuest> {
  const image = imageFile.parse(JSON.parse(await readFile(join(DEMO_IMAGE, 'image.json'), 'utf8')));
  const qemu = await probeQemu();
  const kernelPath = join(DEMO_IMAGE, image.boot.kernel.file);
  const { accelerator } = await chooseAccelerator({
    qemu,
    cacheFile: VERDICT,
    probeKernel: kernelPath,
  });
  const blob = ({ digest }: z.infer<typeof part>) => ({ digest, bytes: 1 });
  const { abi } = freezeAbi({
    qemu,
    accelerator,
    boot: {
      ...image.boot,
      kernel: blob(image.boot.kernel),
      initrd: blob(image.boot.initrd),
    },
    firmware: [],
    disks: image.disks.map(({ name, base, virtualBytes }) => ({
      ...{ name, virtualBytes, base: blob(base) },
      baseFormat: 'raw' as const,
    })),
    vcpus: 1,
    memoryMiB: MEMORY_MIB,
  });
  const spec: GuestSpec = {
    id: randomUUID(),
    name: 'demo',
    abi,
    // Of no interest to QEMU.
    network: {
      ...{ hoa4: '192.0.2.2', hoa4PrefixLength: 24, gateway4: '192.0.2.1' },
      ...{ hoa6Prefix: '2001:db8:7700:2::/64', dns: [] },
    },
    home: '0'.repeat(64),
    overlayLimitBytes: OVERLAY_BYTES,
    overlayStorage: 'memory',
    createdAt: new Date().toISOString(),
  };
  const argv = buildArguments(spec, {
    binary: qemu.binary,
    directory: join(directory, 'original'),
    disks: image.disks.map(({ name, base }) => ({
      name,
      overlayPath: join(directory, 'original', `${name}.qcow2`),
      basePath: join(DEMO_IMAGE, base.file),
      limitBytes: OVERLAY_BYTES,
    })),
    kernelPath,
    initrdPath: join(DEMO_IMAGE, image.boot.initrd.file),
    netSocket: join(directory, 'original', 'net.sock'),
    incoming: false,
  });
  return {
    ...{ accelerator, memoryMiB: MEMORY_MIB, mac: abi.mac },
    argv: [qemu.binary, ...argv],
  };
}

/** The same guest on a TAP. Without offloads, as a switch in userspace finishes no checksums. */
export function onTap(twin: Twin, device: string): Twin {
  const netdev = {
    ...{ type: 'tap', id: 'net0', ifname: device },
    ...{ script: 'no', downscript: 'no', vnet_hdr: false, vhost: false },
  };
  const argv = twin.argv.map((each, index) =>
    twin.argv[index - 1] === '-netdev' ? JSON.stringify(netdev) : each,
  );
  return { ...twin, argv };
}
