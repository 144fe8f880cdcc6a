/**
 * UEFI firmware as distributions install it for QEMU: EDK II in two flash images, the code and a template of the
 * variables. Both are RAM blocks of the migration stream: their sizes must be the same at both ends, while their
 * content travels. Until its QEMU is started anew a guest goes on with the code it came with; its variables are
 * written to its own file at the destination by QEMU as soon as it runs there (`pflash_cfi01.c`, `postload_update_cb`).
 */
import { open } from 'node:fs/promises';
import { qemuImg, replaceFile } from './disks/index.ts';
import type { Architecture } from './probe.ts';
import type { FirmwareSize } from './spec.ts';

type FlashFormat = 'raw' | 'qcow2';

export interface Firmware extends FirmwareSize {
  readonly codePath: string;
  readonly templatePath: string;
  readonly format: FlashFormat;
}

export interface FirmwareFiles {
  readonly code: string;
  readonly variables: string;
  readonly format: FlashFormat;
}

/** From the most wanted on: builds of 4 MiB, which every distribution has now, without Secure Boot, which needs SMM. */
const FIRMWARE: Record<Architecture, readonly FirmwareFiles[]> = {
  x86_64: [
    // Debian and Ubuntu: ovmf.
    raw('/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'),
    // Arch: edk2-ovmf.
    raw('/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'),
    // Fedora: edk2-ovmf.
    {
      code: '/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2',
      variables: '/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2',
      format: 'qcow2',
    },
    // openSUSE: qemu-ovmf-x86_64.
    raw('/usr/share/qemu/ovmf-x86_64-4m-code.bin', '/usr/share/qemu/ovmf-x86_64-4m-vars.bin'),
    // Builds of 2 MiB: Debian 12 and Fedora.
    raw('/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'),
    raw('/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'),
  ],
  // Debian and Ubuntu: qemu-efi-aarch64.
  aarch64: [raw('/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd')],
};

/** Offset of the virtual size in a qcow2 header, big-endian, 8 bytes (QEMU docs/interop/qcow2.txt). */
const QCOW2_SIZE_OFFSET = 24;

/** What is installed of `candidates`, the most wanted first; empty where there is none. */
export async function findFirmware(
  architecture: Architecture,
  candidates: readonly FirmwareFiles[] = FIRMWARE[architecture],
): Promise<Firmware[]> {
  const found: Firmware[] = [];
  for (const { code, variables, format } of candidates) {
    const codeBytes = await flashBytes(code, format);
    const variablesBytes = await flashBytes(variables, format);
    if (codeBytes === undefined || variablesBytes === undefined) continue;
    found.push({ codePath: code, templatePath: variables, format, codeBytes, variablesBytes });
  }
  return found;
}

export function isSameFirmwareSize(a: FirmwareSize, b: FirmwareSize): boolean {
  return a.codeBytes === b.codeBytes && a.variablesBytes === b.variablesBytes;
}

/** What to do where a firmware is missing. */
export const FIRMWARE_REMEDY = 'the UEFI firmware for QEMU (package ovmf or edk2-ovmf)';

/** Makes a guest's own variables, as of a machine that was never switched on. Durable when it returns. */
export async function createVariables(firmware: Firmware, path: string): Promise<void> {
  await replaceFile(path, async (partial) => {
    const { format, templatePath } = firmware;
    await qemuImg('convert', '-q', '-f', format, '-O', 'raw', templatePath, partial);
  });
}

function raw(code: string, variables: string): FirmwareFiles {
  return { code, variables, format: 'raw' };
}

/** Undefined for a file that is not there or not to be read. */
async function flashBytes(path: string, format: FlashFormat): Promise<number | undefined> {
  try {
    await using file = await open(path, 'r');
    if (format === 'raw') return (await file.stat()).size;
    const header = Buffer.alloc(QCOW2_SIZE_OFFSET + 8);
    const { bytesRead } = await file.read(header, 0, header.length, 0);
    return bytesRead < header.length
      ? undefined
      : Number(header.readBigUInt64BE(QCOW2_SIZE_OFFSET));
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(code)) return undefined;
    throw error;
  }
}
