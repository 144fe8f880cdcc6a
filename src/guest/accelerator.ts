/** Chooses KVM only on proof, and remembers the verdict per host kernel and QEMU version. */
import { access, constants, open, readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { z } from 'zod';
import { makePrivateDirectory, writeFileAtomically } from '../common/index.ts';
import { bootKernel } from './kernel-probe.ts';
import { type QemuCapabilities, versionText } from './probe.ts';

/** A working KVM needs about one second. */
const DEFAULT_TIMEOUT_MS = 10_000;

const verdictSchema = z.object({
  accelerator: z.enum(['kvm', 'tcg']),
  kvm: z.object({
    /** /dev/kvm is there. */
    present: z.boolean(),
    /** This user may open it. */
    opens: z.boolean(),
    /** A kernel booted under it; null: not tried. */
    boots: z.boolean().nullable(),
    /** In words, for a person: why KVM is used, or why not. */
    reason: z.string(),
  }),
  checkedAt: z.iso.datetime(),
  hostKernel: z.string(),
  qemuVersion: z.string(),
});
export type AcceleratorVerdict = z.infer<typeof verdictSchema>;

export interface AcceleratorOptions {
  readonly qemu: QemuCapabilities;
  /** Where the verdict is remembered. */
  readonly cacheFile: string;
  /** A Linux kernel image to boot; without one KVM cannot be proven, and is not used. */
  readonly probeKernel?: string;
  /** Time limit of the proof, milliseconds. */
  readonly timeoutMs?: number;
  /** Try again whatever is remembered. */
  readonly refresh?: boolean;
  readonly device?: string;
  readonly hostKernel?: string;
  readonly now?: () => Date;
}

/** Looks at the device each time, which costs nothing; boots a kernel only when nothing is remembered. */
export async function chooseAccelerator(options: AcceleratorOptions): Promise<AcceleratorVerdict> {
  const hostKernel = options.hostKernel ?? release();
  const qemuVersion = versionText(options.qemu.version);
  const verdict = (kvm: AcceleratorVerdict['kvm']): AcceleratorVerdict => ({
    accelerator: kvm.boots === true ? 'kvm' : 'tcg',
    kvm,
    checkedAt: (options.now?.() ?? new Date()).toISOString(),
    hostKernel,
    qemuVersion,
  });
  const device = options.device ?? '/dev/kvm';
  const obstacle = await deviceObstacle(options.qemu, device);
  if (obstacle !== undefined) return verdict(obstacle);
  const known = options.refresh === true ? undefined : await readCache(options.cacheFile);
  if (known?.hostKernel === hostKernel && known.qemuVersion === qemuVersion) return known;
  if (options.probeKernel === undefined) {
    const reason = `${device} opens, but there is no kernel image yet to prove that it works`;
    return verdict({ present: true, opens: true, boots: null, reason });
  }
  const boot = await bootKernel({
    binary: options.qemu.binary,
    accelerator: 'kvm',
    kernel: options.probeKernel,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  });
  const reason = boot.boots
    ? `${device} opens and booted a kernel in ${boot.tookMs} ms`
    : `${device} opens, but ${boot.reason}`;
  const found = verdict({ present: true, opens: true, boots: boot.boots, reason });
  await writeCache(options.cacheFile, found);
  return found;
}

async function deviceObstacle(
  qemu: QemuCapabilities,
  device: string,
): Promise<AcceleratorVerdict['kvm'] | undefined> {
  try {
    await access(device, constants.F_OK);
  } catch {
    return { present: false, opens: false, boots: null, reason: `${device} is not there` };
  }
  try {
    await (await open(device, 'r+')).close();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const why =
      code === 'EACCES'
        ? 'this user may not open it (join the group kvm)'
        : `does not open: ${code}`;
    return { present: true, opens: false, boots: null, reason: `${device} is there, but ${why}` };
  }
  if (qemu.accelerators.includes('kvm')) return undefined;
  const reason = `${device} opens, but ${qemu.binary} was built without KVM`;
  return { present: true, opens: true, boots: null, reason };
}

/** Undefined when nothing usable is remembered: then KVM is simply tried again. */
async function readCache(path: string): Promise<AcceleratorVerdict | undefined> {
  try {
    return verdictSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || error instanceof SyntaxError || error instanceof z.ZodError) {
      return undefined;
    }
    throw error;
  }
}

async function writeCache(path: string, verdict: AcceleratorVerdict): Promise<void> {
  await makePrivateDirectory(dirname(path));
  await writeFileAtomically(path, `${JSON.stringify(verdict, undefined, 2)}\n`);
}
