/** What others use of the window: its transport, for the desktop shell. The window itself is built by `npm run build:ui`. */
export type { AgentTransport, DesktopBridge, DesktopShell, StreamEvent } from './transport.ts';
