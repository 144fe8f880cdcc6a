/** The guest's side of a clipboard: its port of the SPICE agent. */
export { VdagentPort } from './port.ts';
export { MAX_CLIPBOARD_BYTES, VDAGENT_PORT_NAME } from './protocol.ts';
