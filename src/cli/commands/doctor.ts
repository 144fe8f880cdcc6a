import type { Check } from '../../agent/doctor/index.ts';
import { stateDirectory } from '../../api/index.ts';
import { exitCodes } from '../exit-codes.ts';
import { type CommonOptions, Output } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import { printable } from '../text.ts';

export interface DoctorOptions extends CommonOptions {
  readonly kernel: boolean;
  readonly again?: boolean;
}

/** Exits with the code of `requirement` when something will not work. */
export async function doctor(options: DoctorOptions): Promise<void> {
  const output = new Output(options);
  const line = new ProgressLine(process.stderr);
  if (process.stderr.isTTY && !output.quiet) {
    line.show('doctor', 'looking; to prove KVM a kernel is booted, which takes up to 10 s', 0);
  }
  const { examine } = await import('../../agent/doctor/index.ts');
  const checks = await examine({
    stateDirectory: stateDirectory(options.state),
    env: process.env,
    nowMs: Date.now(),
    mayBoot: options.kernel,
    again: options.again ?? false,
  });
  line.clear();
  const ok = checks.every(({ status }) => status !== 'fail');
  output.result({ ok, checks }, checks.map(describeCheck).join('\n'));
  if (!ok) process.exitCode = exitCodes.requirement.code;
}

function describeCheck({ id, status, text, remedy }: Check): string {
  const line = printable(`${status.padEnd(4)}  ${id}: ${text}`);
  return remedy === undefined ? line : `${line}\n      ${printable(remedy)}`;
}
