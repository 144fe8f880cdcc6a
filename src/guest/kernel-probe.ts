/**
 * Proof that an accelerator works: a real kernel boots under it up to its panic for want of a root file system.
 * /dev/kvm alone proves nothing: on some hosts it opens, runs the BIOS and hangs in the kernel.
 */
import { execa } from 'execa';
import type { Accelerator } from './spec.ts';

/** The kernel's last words without a root file system (init/do_mounts.c, mount_root_generic). */
const PROOF = /Kernel panic - not syncing: (VFS|No working init)/;
/** Longest console output looked at, characters. */
const MAX_OUTPUT = 512 * 1024;
const MEMORY_MIB = 192;

export type KernelBoot =
  | { readonly boots: true; readonly tookMs: number }
  | { readonly boots: false; readonly reason: string };

export interface KernelProbeOptions {
  readonly binary: string;
  readonly accelerator: Accelerator;
  readonly kernel: string;
  /** Time limit for the proof, milliseconds. */
  readonly timeoutMs: number;
}

/** Never throws for what QEMU does; whatever is no proof is a reason. */
export async function bootKernel(options: KernelProbeOptions): Promise<KernelBoot> {
  const started = performance.now();
  const child = execa(options.binary, probeArguments(options), {
    stdin: 'ignore',
    buffer: { stdout: false },
    maxBuffer: MAX_OUTPUT,
    encoding: 'latin1',
    reject: false,
    timeout: options.timeoutMs,
    killSignal: 'SIGKILL',
  });
  let output = '';
  let proven = false;
  child.stdout.on('data', (chunk: Buffer | string) => {
    if (proven || output.length > MAX_OUTPUT) return;
    output += chunk.toString();
    proven = PROOF.test(output);
    if (proven) child.kill('SIGKILL');
  });
  const result = await child;
  if (proven) return { boots: true, tookMs: Math.round(performance.now() - started) };
  if (result.timedOut) {
    return { boots: false, reason: `did not boot a kernel within ${options.timeoutMs / 1000} s` };
  }
  const said = result.stderr.trim().split('\n').at(-1);
  return { boots: false, reason: `QEMU ended without booting a kernel${said ? `: ${said}` : ''}` };
}

function probeArguments({ accelerator, kernel }: KernelProbeOptions): string[] {
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-machine', 'q35', '-accel', accelerator, '-m', String(MEMORY_MIB)],
    ...['-kernel', kernel, '-append', 'console=ttyS0 panic=-1 root=/dev/none'],
    ...['-serial', 'stdio'],
  ];
}
