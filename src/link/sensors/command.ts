/** Programs that sensors ask: in the C locale, with a time limit, and gone when the sensor is. */
import { execa } from 'execa';
import { SojournError } from '../../common/index.ts';

const MAX_OUTPUT_BYTES = 1024 * 1024;
const LIMIT_MS = 1500;
const FORCE_KILL_MS = 200;

/** Standard output of a program. Throws `sensor-missing`, `sensor-silent`, `sensor-failed`. */
export async function ask(
  file: string,
  args: readonly string[],
  signal: AbortSignal,
  limitMs = LIMIT_MS,
): Promise<string> {
  const result = await execa(file, args, {
    env: { LC_ALL: 'C', LANG: 'C', LANGUAGE: 'C' },
    stdin: 'ignore',
    timeout: limitMs,
    maxBuffer: MAX_OUTPUT_BYTES,
    cancelSignal: signal,
    forceKillAfterDelay: FORCE_KILL_MS,
    cleanup: true,
    reject: false,
    stripFinalNewline: false,
  });
  if (!result.failed) return result.stdout;
  if (result.code === 'ENOENT')
    throw failure('sensor-missing', `${file} is not installed`, `Install ${file}`);
  if (result.timedOut || result.isCanceled)
    throw failure(
      'sensor-silent',
      `${file} did not answer in time`,
      'Look whether the wireless driver hangs',
    );
  if (result.isMaxBuffer)
    throw failure('sensor-failed', `${file} printed without end`, `Run ${file} by hand`);
  const text = result.stderr.trim().split('\n')[0] || `exit code ${result.exitCode ?? 'none'}`;
  throw failure('sensor-failed', `${file} failed: ${text.slice(0, 200)}`, `Run ${file} by hand`);
}

export function failure(code: string, message: string, remedy: string): SojournError {
  return new SojournError({ kind: 'requirement', code, message, remedy });
}
