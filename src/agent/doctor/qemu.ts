import { asSojournError } from '../../common/index.ts';
import {
  type AcceleratorVerdict,
  chooseAccelerator,
  probeQemu,
  type QemuCapabilities,
} from '../../guest/index.ts';
import { acceleratorCacheFile, findProbeKernel } from '../guests/probe-kernel.ts';
import { type Check, fail, failed, ok, warn } from './check.ts';

export async function checkQemu(): Promise<{ check: Check; qemu: QemuCapabilities | undefined }> {
  try {
    const qemu = await probeQemu();
    const text = `QEMU ${qemu.version.join('.')} at ${qemu.binary}, with all that is needed`;
    return { check: ok('qemu', text), qemu };
  } catch (error) {
    return { check: failed('qemu', asSojournError(error)), qemu: undefined };
  }
}

export function judgeAccelerator(kvm: AcceleratorVerdict['kvm']): Check {
  if (kvm.boots === true) return ok('kvm', kvm.reason);
  const text = `${kvm.reason}: software emulation is used, which is several times slower`;
  if (!kvm.present) {
    return warn('kvm', text, 'Turn on virtualization in the firmware, or nested in the cloud host');
  }
  if (!kvm.opens) return warn('kvm', text, 'Give this user access to /dev/kvm (group kvm)');
  if (kvm.boots === null) return warn('kvm', text, 'Import an image with a kernel, or run as root');
  return warn('kvm', text, 'Use another host or hypervisor setting if guests are too slow');
}

export interface KvmOptions {
  readonly images: string;
  readonly env: NodeJS.ProcessEnv;
  /** Boot a kernel if no verdict is remembered. */
  readonly mayBoot: boolean;
  /** Whatever is remembered. */
  readonly again: boolean;
}

export async function checkKvm(qemu: QemuCapabilities, options: KvmOptions): Promise<Check> {
  try {
    const verdict = await chooseAccelerator({
      qemu,
      cacheFile: acceleratorCacheFile(options.env),
      refresh: options.again,
      probeKernel: options.mayBoot ? await findProbeKernel(options) : undefined,
    });
    return judgeAccelerator(verdict.kvm);
  } catch (error) {
    return fail('kvm', `it cannot be found out whether KVM works: ${asSojournError(error).line}`);
  }
}
