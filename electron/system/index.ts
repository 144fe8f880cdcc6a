/** What the host goes through, told to the agent. */
export { Host } from './host.ts';
