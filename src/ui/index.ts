/**
 * What others use of the window: its transport, its policy, and how it sees the agent's state, so that the tray says the
 * same. The window itself is built by `npm run build:ui`.
 */
export { contentSecurityPolicy } from './content-security-policy.ts';
export { formatDuration } from './model/format.ts';
export { type Problem, problemsOf } from './model/problems.ts';
export { gravest, type Safety, safetyOf, type Tone } from './model/safety.ts';
export { hrefOf, type Route } from './state/route.ts';
export type {
  AgentTransport,
  DesktopBridge,
  DesktopShell,
  ScreenEvent,
  ScreenLink,
  StreamEvent,
} from './transport.ts';
