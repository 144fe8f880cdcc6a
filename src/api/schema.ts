/** What of the agent's interface runs in a browser too: the contract and the wire, without sockets. */
export {
  type CallInput,
  type CallItem,
  type CallName,
  type CallOutput,
  contract,
  isCallName,
  type StreamName,
} from './contract.ts';
export {
  type ClientMessage,
  type Greeting,
  greeting,
  PROTOCOL_VERSION,
  type ServerMessage,
  serverMessage,
  type WireError,
} from './protocol.ts';
export { type ScreenNote, screenNote } from './screen.ts';
export type * from './views/index.ts';
