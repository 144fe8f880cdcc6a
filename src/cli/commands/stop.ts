import type { CommonOptions } from '../output.ts';
import { joined } from '../text.ts';
import { withAgent } from '../with-agent.ts';

/** Ends the agent and waits until it has closed its socket. */
export async function stopAgent(options: CommonOptions & { guests?: boolean }): Promise<void> {
  await withAgent(options, async (client, output) => {
    const answer = await client.call('agent.stop', { guests: options.guests ? 'stop' : 'keep' });
    await client.closed;
    const left = answer.guestsLeftRunning;
    const goOn =
      left.length === 0 ? '' : `; ${joined(left)} ${left.length === 1 ? 'goes' : 'go'} on`;
    output.done(answer, `the agent has stopped${goOn}`);
  });
}
