import { connect } from 'node:net';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

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

/** Where the agent shows screens (`src/agent/screen/listener.ts`). */
export function screenSocketPath(stateDirectory: string): string {
  return join(stateDirectory, 'screen.sock');
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
