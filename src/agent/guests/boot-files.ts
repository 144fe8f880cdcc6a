/** What a guest boots from, beside its disks, as files of this place. */
import { SojournError } from '../../common/index.ts';
import { FIRMWARE_REMEDY, findFirmware, isSameFirmwareSize } from '../../guest/index.ts';
import type { GuestRuntime } from '../../guest/runtime.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { ImageStore } from '../../images/index.ts';
import type { GuestFiles, OverlayContent } from './guest-files.ts';

export type BootFiles = Pick<GuestRuntime, 'kernelPath' | 'initrdPath' | 'firmware'>;

/** @throws SojournError `firmware-missing`, or as the image store's `verify` */
export async function bootFiles(
  spec: GuestSpec,
  content: OverlayContent,
  { images, files }: { readonly images: ImageStore; readonly files: GuestFiles },
): Promise<BootFiles> {
  const { architecture, boot } = spec.abi;
  switch (boot.kind) {
    case 'bios':
      return {};
    case 'uefi': {
      const installed = await findFirmware(architecture);
      const firmware = installed.find((one) => isSameFirmwareSize(one, boot.firmware));
      if (firmware === undefined) throw firmwareMissing(spec);
      const { codePath, format: codeFormat } = firmware;
      const variablesPath = await files.prepareVariables(spec, firmware, content);
      return { firmware: { codePath, codeFormat, variablesPath } };
    }
    case 'kernel':
      await images.verify(boot.kernel.digest);
      if (boot.initrd !== undefined) await images.verify(boot.initrd.digest);
      return {
        kernelPath: images.path(boot.kernel.digest),
        ...(boot.initrd === undefined ? {} : { initrdPath: images.path(boot.initrd.digest) }),
      };
  }
}

/** Only where it was removed after the check that comes before every start. */
function firmwareMissing(spec: GuestSpec): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'firmware-missing',
    message: `The UEFI firmware that ${spec.name} boots by is not on this machine any more`,
    remedy: `Install ${FIRMWARE_REMEDY}`,
  });
}
