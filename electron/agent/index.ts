/** The agent as this app sees it: found, started, followed. */
export { AgentLink, type AgentLinkOptions, type AgentState } from './link.ts';
