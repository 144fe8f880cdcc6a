export { NbdClient } from './client.ts';
export { NbdErrno, NbdProtocolError, NbdRequestError } from './protocol.ts';
export { type NbdBackend, NbdServer } from './server.ts';
