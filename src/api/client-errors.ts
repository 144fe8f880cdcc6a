import { dirname } from 'node:path';
import { SojournError } from '../common/index.ts';
import { type Greeting, PROTOCOL_VERSION } from './protocol.ts';

export function ofConnection(path: string, cause: NodeJS.ErrnoException): SojournError {
  switch (cause.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'ENOTDIR':
      return new SojournError({
        kind: 'unreachable',
        code: 'agent-not-running',
        message: `No agent is running for the state directory ${dirname(path)}`,
        remedy:
          'Start one with "sojourn agent --profile device", or name its directory with --state',
        cause,
      });
    case 'EACCES':
    case 'EPERM':
      return new SojournError({
        kind: 'refused',
        code: 'agent-not-yours',
        message: `The agent's socket ${path} belongs to another user`,
        remedy: 'Run the command as that user',
        cause,
      });
    case 'EAGAIN':
      return silent(path);
    case 'ECONNRESET':
    case 'EPIPE':
      return gone();
    default:
      return new SojournError({
        kind: 'unreachable',
        code: 'agent-unreachable',
        message: `The agent's socket ${path} cannot be reached: ${cause.message}`,
        remedy: 'See "sojourn doctor"',
        cause,
      });
  }
}

export function silent(path: string): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'agent-silent',
    message: `The agent at ${path} does not answer`,
    remedy: 'It may be stopped or overloaded: look at its log, or end it and start it again',
  });
}

export function gone(): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'agent-gone',
    message: 'The agent closed the connection before it answered',
    remedy: 'Start it again if it ended (guests go on without it), then see "sojourn status"',
  });
}

export function closedHere(): SojournError {
  return new SojournError({
    kind: 'cancelled',
    code: 'client-closed',
    message: 'The connection to the agent was closed here',
  });
}

export function notAnAgent(path: string): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'not-an-agent',
    message: `What answers at ${path} is not a Sojourn agent`,
    remedy: 'Name the right directory with --state',
  });
}

export function malformed(cause: unknown): SojournError {
  return new SojournError({
    kind: 'internal',
    code: 'answer-malformed',
    message: "The agent's answer cannot be understood",
    remedy: 'Make sure that agent and command are of the same version, or report it',
    cause,
  });
}

export function version(greeting: Greeting): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'agent-version',
    message: `The running agent is version ${greeting.version} and speaks protocol ${greeting.protocol}, this command speaks ${PROTOCOL_VERSION}`,
    remedy: 'End that agent with "sojourn stop" and start this version (guests keep running)',
  });
}
