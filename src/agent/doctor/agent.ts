/** The running agent, if there is one, and the places it is paired with. */
import { ApiClient, type Status } from '../../api/index.ts';
import { asSojournError } from '../../common/index.ts';
import { type Check, failed, ok, warn } from './check.ts';

export interface AgentReading {
  readonly check: Check;
  /** Undefined when no agent answers or it cannot be understood. */
  readonly status: Status | undefined;
}

export async function checkAgent(socketPath: string, ourVersion: string): Promise<AgentReading> {
  let client: ApiClient | undefined;
  try {
    client = await ApiClient.connect(socketPath);
    const status = await client.call('status', {});
    return { check: judgeAgent(status.agent, ourVersion), status };
  } catch (cause) {
    const error = asSojournError(cause);
    const check =
      error.code === 'agent-not-running'
        ? warn('agent', 'no agent is running', 'Start one with "sojourn agent --profile device"')
        : failed('agent', error);
    return { check, status: undefined };
  } finally {
    client?.close();
  }
}

export function judgeAgent(agent: Pick<Status['agent'], 'version' | 'pid'>, ours: string): Check {
  const text = `the agent runs (version ${agent.version}, pid ${agent.pid})`;
  if (agent.version === ours) return ok('agent', text);
  return warn(
    'agent',
    `${text}, this command is version ${ours}`,
    'Restart the agent: "sojourn stop", then "sojourn agent"; guests keep running',
  );
}

export function judgePlaces(places: Status['places']): Check[] {
  return places
    .filter(({ self }) => !self)
    .map((place) => {
      const id = `place-${place.name}`;
      if (place.connected) return ok(id, `${place.name} is connected`);
      const seen = place.lastSeenAt === null ? 'never seen' : `last seen ${place.lastSeenAt}`;
      const remedy =
        place.endpoints.length > 0
          ? `Check the network, and that its agent runs and ${place.endpoints.join(' or ')} is open`
          : 'Start the agent there: it dials this place';
      return warn(id, `${place.name} is not connected (${seen})`, remedy);
    });
}
