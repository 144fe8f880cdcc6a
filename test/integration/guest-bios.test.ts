import { open } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { tinySpec } from '../lab/tiny-guest.ts';
import { TinyMachines } from '../lab/tiny-machine.ts';

const SECTOR_BYTES = 512;
const PROMPT = 'from the boot sector> ';

/**
 * A boot loader in its smallest form: a prompt on the first serial port, which then echoes what is typed. With
 * interrupts off, because SeaBIOS's serial console takes what is typed at every tick of its timer.
 */
function bootSector(): Buffer {
  const code = [
    ...[0xfa, 0x31, 0xc0, 0x8e, 0xd8], // cli; xor ax, ax; mov ds, ax
    ...[0xbe, 0x23, 0x7c, 0xfc], //       mov si, prompt (0x7c23); cld
    ...[0xba, 0xf8, 0x03], //             mov dx, 0x3f8
    ...[0xac, 0x84, 0xc0, 0x74, 0x03], // say: lodsb; test al, al; jz hear
    ...[0xee, 0xeb, 0xf8], //             out dx, al; jmp say
    ...[0xba, 0xfd, 0x03], //             hear: mov dx, 0x3fd (line status)
    ...[0xec, 0xa8, 0x01, 0x74, 0xfb], // wait: in al, dx; test al, 1; jz wait
    ...[0xba, 0xf8, 0x03, 0xec, 0xee], // mov dx, 0x3f8; in al, dx; out dx, al
    ...[0xeb, 0xf1], //                   jmp hear
  ];
  const sector = Buffer.alloc(SECTOR_BYTES);
  Buffer.from(code).copy(sector);
  sector.write(`${PROMPT}\0`, code.length, 'latin1');
  sector.writeUInt16LE(0xaa55, SECTOR_BYTES - 2);
  return sector;
}

test('a BIOS guest boots from its first disk', { timeout: 60_000 }, async () => {
  await using machines = await TinyMachines.create();
  const tiny = tinySpec();
  const spec = { ...tiny, abi: { ...tiny.abi, boot: { kind: 'bios' as const } } };
  const { kernelPath, initrdPath, ...runtime } = await machines.runtime(spec, 'device');
  const base = await open(runtime.disks[0]?.basePath ?? '', 'r+');
  await base.write(bootSector(), 0, SECTOR_BYTES, 0);
  await base.close();
  const machine = await machines.startWith(spec, { ...runtime, paused: true });
  const console = await machine.console();
  // A connection that QEMU has not accepted yet misses what is said meanwhile, and this guest says it only once.
  await expect
    .poll(() => machine.qmp.execute('query-chardev'), { timeout: 20_000 })
    .toContainEqual(
      expect.objectContaining({
        label: 'console',
        filename: expect.not.stringMatching(/^disconnected:/),
      }),
    );
  await machine.qmp.execute('cont');
  await console.waitFor(PROMPT);
  console.send('anybody there');
  await console.waitFor('anybody there');
  console.close();
  expect(await machine.qmp.execute('query-status')).toMatchObject({ status: 'running' });
});
