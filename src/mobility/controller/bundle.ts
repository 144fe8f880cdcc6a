/**
 * Bundles: changes that a switch makes all at once or not at all. The ONF's extension EXT-230 of OpenFlow 1.3, which
 * Open vSwitch understands; the layout is that of OpenFlow 1.4 (7.3.9) behind the experimenter's header.
 *
 *   control (2300):      | bundle id 4 | type 2 | flags 2 |
 *   add message (2301):  | bundle id 4 | pad 2  | flags 2 | the message, with the xid of the outer one |
 */
import {
  type ExperimenterMessage,
  encodeMessage,
  type Message,
  ONF,
} from '../../openflow/index.ts';

const CONTROL = 2300;
const ADD_MESSAGE = 2301;
const TYPES = { open: 0, commit: 4, discard: 6 } as const;
/** `OFPBF_ATOMIC | OFPBF_ORDERED` */
const FLAGS = 3;
const HEADER_BYTES = 8;

export type BundleRequest = keyof typeof TYPES;

export function bundleControl(bundle: number, request: BundleRequest): ExperimenterMessage {
  return experimenter(CONTROL, header(bundle, TYPES[request]));
}

/** Must be sent with the same xid. */
export function bundleAdd(bundle: number, xid: number, message: Message): ExperimenterMessage {
  return experimenter(ADD_MESSAGE, Buffer.concat([header(bundle, 0), encodeMessage(xid, message)]));
}

/** Whether a message is the answer to a request. */
export function answersBundle(
  message: ExperimenterMessage,
  bundle: number,
  request: BundleRequest,
): boolean {
  const { experimenter, experimenterType, data } = message;
  if (experimenter !== ONF || experimenterType !== CONTROL || data.length < HEADER_BYTES)
    return false;
  const view = Buffer.from(data);
  return view.readUInt32BE(0) === bundle && view.readUInt16BE(4) === TYPES[request] + 1;
}

function header(bundle: number, type: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32BE(bundle, 0);
  bytes.writeUInt16BE(type, 4);
  bytes.writeUInt16BE(FLAGS, 6);
  return bytes;
}

function experimenter(experimenterType: number, data: Uint8Array): ExperimenterMessage {
  return { type: 'experimenter', experimenter: ONF, experimenterType, data };
}
