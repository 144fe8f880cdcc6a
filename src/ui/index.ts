/** What others use of the window: its transport and its policy. The window itself is built by `npm run build:ui`. */
export { contentSecurityPolicy } from './content-security-policy.ts';
export type { AgentTransport, DesktopBridge, DesktopShell, StreamEvent } from './transport.ts';
