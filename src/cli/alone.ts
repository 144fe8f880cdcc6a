/**
 * `node alone.ts SCRIPT ARGUMENTS`: becomes `node SCRIPT ARGUMENTS`, with no descriptor but the three standard ones.
 *
 * For a desktop app that starts the agent: Chromium leaves some of its descriptors open for its children, so that an
 * agent, which outlives the app, would keep the app's pipes, profile files and connection to the display. Linux only:
 * elsewhere a child gets nothing but what it is given.
 */
import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** In `flags` of /proc/PID/fdinfo (proc_pid_fdinfo(5)), as Linux numbers it on every architecture that Node runs on. */
const O_CLOEXEC = 0o2_000_000;
const LAST_STANDARD = 2;

/** Node marks what it opens, and at its start the lowest ones that it inherits (`uv_disable_stdio_inheritance`). */
function unmarked(): number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((descriptor) => descriptor > LAST_STANDARD && !isMarked(descriptor));
}

function isMarked(descriptor: number): boolean {
  try {
    const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
    return (Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '', 8) & O_CLOEXEC) !== 0;
  } catch {
    // The one that the folder was read through.
    return true;
  }
}

for (const descriptor of unmarked()) closeSync(descriptor);
const { execve } = process;
if (execve === undefined) throw new Error('this Node cannot replace itself');
execve(process.execPath, [process.execPath, ...process.argv.slice(2)], process.env);
