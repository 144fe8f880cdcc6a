/**
 * Messages to bytes and back (OpenFlow 1.3.5, 7.1).
 *
 *    0         8         16                  32                  64
 *   | version | type    | length            | xid               | ...     length with the header
 */
import { OPENFLOW_VERSION } from '../constants.ts';
import { type OpenFlowError, openFlowError } from '../errors.ts';
import type { ErrorMessage, Message } from '../messages.ts';
import { lengthError, messageKind, messageTypes } from './messages.ts';
import { Reader, Writer } from './wire.ts';

export const HEADER_BYTES = 8;
export const MAX_MESSAGE_BYTES = 0xffff;
/** What an error message holds of the message refused, at most (7.4.4 asks for 64 or more). */
const ERROR_DATA_BYTES = 1024;

export interface Envelope {
  readonly xid: number;
  readonly message: Message;
}

/** @throws RangeError when a value does not fit its field, or the message 65,535 bytes. */
export function encodeMessage(xid: number, message: Message): Buffer {
  const to = new Writer();
  to.u8(message.type === 'hello' ? message.version : OPENFLOW_VERSION);
  to.u8(messageTypes.indexOf(message.type));
  to.u16(0);
  to.u32(xid);
  messageKind(message.type).write(to, message as never);
  if (to.length > MAX_MESSAGE_BYTES)
    throw new RangeError(`a ${message.type} of ${to.length} bytes does not fit a message`);
  to.patch16(2, to.length);
  return to.finish();
}

/**
 * Decodes one whole message. What it returns shares no memory with `bytes`.
 * @throws OpenFlowError that the sender is to be answered with.
 */
export function decodeMessage(bytes: Uint8Array): Envelope {
  const from = new Reader(bytes, 0, bytes.length, lengthError);
  const version = from.u8();
  const number = from.u8();
  const length = from.u16();
  const xid = from.u32();
  if (length !== bytes.length)
    throw lengthError(`a length of ${length} in a message of ${bytes.length} bytes`);
  const type = messageTypes[number];
  if (type === 'hello') {
    // Of any version; of elements nobody knew before 1.3.1.
    const versions = version < OPENFLOW_VERSION ? { versions: [] } : messageKind(type).read(from);
    return { xid, message: { type, version, versions: [], ...versions } };
  }
  if (version !== OPENFLOW_VERSION)
    throw openFlowError('bad-request', 'bad-version', `version ${version}`);
  if (type === undefined) throw openFlowError('bad-request', 'bad-type', `message type ${number}`);
  const body = messageKind(type).read(from);
  from.finish();
  return { xid, message: { type, ...body } as Message };
}

/** The error message about a request, whose bytes are given. It goes with the xid of the request. */
export function errorMessage(error: OpenFlowError, request: Uint8Array): ErrorMessage {
  const { errorType, code, experimenter } = error;
  const data = new Uint8Array(request.subarray(0, ERROR_DATA_BYTES));
  return experimenter === undefined
    ? { type: 'error', errorType, code, data }
    : { type: 'error', errorType, code, experimenter, data };
}
