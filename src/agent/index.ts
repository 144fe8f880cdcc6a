/** The daemon. */
import { pino } from 'pino';
import { startAgent } from './agent.ts';
import type { AgentOptions } from './options.ts';

export type { AgentOptions } from './options.ts';

/** Runs an agent until it is told to stop, by its API or a signal. @throws SojournError when it cannot start. */
export async function runAgent(options: AgentOptions): Promise<void> {
  const log = pino({ level: options.logLevel, base: { pid: process.pid } });
  const agent = await startAgent(options, log);
  const stop = () => void agent.stop('keep');
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  await agent.ended;
  log.info('agent ended');
}
