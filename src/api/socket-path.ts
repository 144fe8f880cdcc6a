import { connect } from 'node:net';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { SojournError } from '../common/index.ts';

/** `sun_path` holds 108 bytes with its final zero on Linux (unix(7)), 104 on macOS. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;
const PROBE_TIMEOUT_MS = 1000;

/**
 * The state directory: the option, else `SOJOURN_STATE`, else `$XDG_STATE_HOME/sojourn`, else
 * `~/.local/state/sojourn` (XDG Base Directory Specification 0.8; a relative XDG_STATE_HOME is ignored).
 */
export function stateDirectory(option?: string, env: NodeJS.ProcessEnv = process.env): string {
  const chosen = option ?? env.SOJOURN_STATE;
  if (chosen !== undefined && chosen !== '') return resolve(chosen);
  const xdg = env.XDG_STATE_HOME;
  const base =
    xdg !== undefined && isAbsolute(xdg) ? xdg : join(env.HOME ?? homedir(), '.local', 'state');
  return join(base, 'sojourn');
}

export function apiSocketPath(stateDirectory: string): string {
  return join(stateDirectory, 'agent.sock');
}

/** Throws `socket-path-too-long` for what the system would cut off or refuse. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_SOCKET_PATH_BYTES) return;
  throw new SojournError({
    kind: 'requirement',
    code: 'socket-path-too-long',
    message: `The socket path ${path} has ${bytes} bytes, and the system allows ${MAX_SOCKET_PATH_BYTES}`,
    remedy: 'Choose a state directory with a shorter path (--state)',
  });
}

/** Whether a process accepts connections on this unix socket. */
export function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (answering: boolean) => {
      socket.destroy();
      resolve(answering);
    };
    // A stopped agent with a full backlog neither accepts nor refuses: it is there all the same.
    socket.setTimeout(PROBE_TIMEOUT_MS, () => done(true));
    socket.once('connect', () => done(true));
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code === 'EAGAIN'));
  });
}
