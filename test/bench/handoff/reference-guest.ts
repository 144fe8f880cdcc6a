/**
 * The command line that Sojourn gives the bench's guest, with the files of the image where they are made: what plain QEMU
 * and libvirt get as well, so that all methods have identical QEMU arguments.
 */
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Evidence } from '../../demo/evidence.ts';
import type { Place } from '../../demo/place.ts';
import { commandLine, DEMO_IMAGE, type Side, startPlaces } from '../../demo/places.ts';
import { Lab } from '../../lab/index.ts';
import { MEMORY_MIB, OVERLAY_LIMIT } from './cases.ts';

export const GUEST = 'demo';

const imageFile = z.looseObject({ file: z.string(), digest: z.string() });
const image = z.looseObject({
  boot: z.looseObject({ kernel: imageFile, initrd: imageFile }),
  disks: z.array(z.looseObject({ base: imageFile })),
});

export async function createGuest(device: Place): Promise<void> {
  await device.sojourn(
    ...['guest', 'create', GUEST, '--image', 'demo'],
    ...['--memory', `${MEMORY_MIB}`, '--overlay-limit', OVERLAY_LIMIT],
  );
  await device.sojourn('guest', 'start', GUEST);
}

export async function referenceArguments(signal: AbortSignal): Promise<string[]> {
  const lab = await Lab.create();
  try {
    const evidence = new Evidence(mkdtempSync(join(lab.directory, 'e')));
    const places = new Map<Side, Place>();
    await startPlaces({ lab, evidence, signal }, places);
    const device = places.get('device');
    if (device === undefined) throw new Error('the agent of the device does not run');
    await createGuest(device);
    return withImageFiles(await commandLine(device, GUEST));
  } finally {
    await lab.close();
  }
}

/** The store names files by digest and goes with the lab. */
function withImageFiles(argv: readonly string[]): string[] {
  const { boot, disks } = image.parse(
    JSON.parse(readFileSync(join(DEMO_IMAGE, 'image.json'), 'utf8')),
  );
  const files = [boot.kernel, boot.initrd, ...disks.map(({ base }) => base)];
  return argv.map((each) =>
    files.reduce(
      (text, { file, digest }) =>
        text.replace(new RegExp(`/[^",]*/images/sha256/${digest}`), join(DEMO_IMAGE, file)),
      each,
    ),
  );
}
