/** The standing connection of the app to an agent: a server of the real kind, whose answers are the test's. */
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AgentLink } from '../../electron/agent/link.ts';
import { fakeResult, fakeStatus, startDouble } from '../api/double.ts';

test('a status that cannot be told costs nothing of what was asked on the same connection', async () => {
  const handoff = Promise.withResolvers<void>();
  let watches = 0;
  const agent = await startDouble({
    'status.watch': async (_input, { emit, signal }) => {
      watches += 1;
      emit(fakeStatus());
      if (watches === 1) throw new Error('a file went while it was looked at');
      await once(signal, 'abort');
      return {};
    },
    'handoff.start': async (_input, { signal }) => {
      await handoff.promise;
      signal.throwIfAborted();
      return fakeResult();
    },
  });
  const { stateDirectory } = agent;
  const link = new AgentLink({
    stateDirectory,
    root: stateDirectory,
    bundledNode: undefined,
    log: join(stateDirectory, 'agent.log'),
    agentArguments: [],
  });
  try {
    const watchedAgain = new Promise<void>((resolve) => {
      link.on('state', () => {
        if (watches === 2) resolve();
      });
    });
    link.start();
    while (link.state.kind !== 'connected') await once(link, 'state');
    const moved = link.client.call('handoff.start', { guest: 'desk', to: 'cloud' });
    await watchedAgain;
    handoff.resolve();
    await expect(moved).resolves.toEqual(fakeResult());
  } finally {
    link.close();
    await agent.stop();
  }
});
