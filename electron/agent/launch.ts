/** Starts the agent as a process that outlives this app, with its output in a file. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { plainText, SojournError } from '../../src/common/index.ts';
import type { AgentProgram } from './program.ts';

/** A log beyond this size is put aside at the next start; one old log is kept. */
const MAX_LOG_BYTES = 8 << 20;
/** How much of the log is read to tell why an agent ended. */
const TAIL_BYTES = 4096;
const MAX_REASON = 400;

/** What Electron sets for itself and its children, and what would change how Node runs. */
const NOT_FOR_THE_AGENT = /^(ELECTRON_|CHROME_|NODE_|ORIGINAL_XDG_CURRENT_DESKTOP$|APPIMAGE$)/;

export interface Launch extends AgentProgram {
  readonly stateDirectory: string;
  readonly log: string;
  readonly arguments: readonly string[];
}

/**
 * Resolves when it is started, which does not mean that it answers.
 * @returns a promise of the error with which it ended; never settles while it runs
 */
export async function launchAgent(launch: Launch): Promise<{ ended: Promise<SojournError> }> {
  await mkdir(dirname(launch.log), { recursive: true, mode: 0o700 });
  await putAside(launch.log);
  const log = await open(launch.log, 'a', 0o600);
  try {
    const begin = (await log.stat()).size;
    const agent = [launch.script, 'agent', '--state', launch.stateDirectory, ...launch.arguments];
    // Otherwise it would keep what Electron has open (`src/cli/alone.ts`).
    const alone = process.platform === 'linux' ? [join(dirname(launch.script), 'alone.ts')] : [];
    const child = spawn(launch.node, [...alone, ...agent], {
      detached: true,
      // Where the app was started may be unmounted later, as an AppImage's folder is.
      cwd: '/',
      stdio: ['ignore', log.fd, log.fd],
      env: Object.fromEntries(
        Object.entries(process.env).filter(([name]) => !NOT_FOR_THE_AGENT.test(name)),
      ),
    });
    await once(child, 'spawn');
    child.unref();
    const ended = once(child, 'exit').then(async ([code, signal]) => {
      const how = signal === null ? `code ${code}` : String(signal);
      return endedEarly(how, await tailOf(launch.log, begin), launch.log);
    });
    return { ended };
  } finally {
    await log.close();
  }
}

function endedEarly(how: string, output: string, log: string): SojournError {
  const line = lastWords(output);
  return new SojournError({
    kind: 'requirement',
    code: 'agent-ended',
    message: line === '' ? `The agent ended (${how}) without a word` : `The agent ended: ${line}`,
    remedy: `See ${log}`,
  });
}

/** The last line that is for people: the log itself is JSON lines. */
export function lastWords(output: string): string {
  const lines = output.split('\n').map((line) => plainText(line).trim());
  const words = lines.findLast((line) => line !== '' && !line.startsWith('{')) ?? '';
  return words.replace(/^sojourn:\s*/, '').slice(0, MAX_REASON);
}

async function tailOf(path: string, begin: number): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    const position = Math.max(begin, size - TAIL_BYTES);
    const buffer = Buffer.alloc(Math.max(size - position, 0));
    await file.read(buffer, 0, buffer.length, position);
    return buffer.toString('utf8');
  } catch {
    // The log was removed; how it ended is told all the same.
    return '';
  } finally {
    await file?.close();
  }
}

async function putAside(path: string): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > MAX_LOG_BYTES) await rename(path, `${path}.1`);
}
