/**
 * The wire: one JSON document a line (UTF-8, `\n`), over a unix stream socket.
 *
 *     agent  -> client   {"sojourn":"api","protocol":1,"version":"0.1.0","pid":4711}     once, first
 *     client -> agent    {"id":1,"call":"guest.start","input":{"guest":"alpine"}}
 *     client -> agent    {"id":1,"cancel":true}
 *     agent  -> client   {"id":1,"item":{...}}                  any number, streaming calls only
 *     agent  -> client   {"id":1,"result":{...}}                ends the call
 *     agent  -> client   {"id":1,"error":{"kind","code","message","remedy"}}       ends the call
 *     agent  -> client   {"error":{...}}                        about the connection, which then ends
 *
 * Ids are chosen by the client and must not be in use. A cancelled call still gets its result or
 * error, because what happened may be either; cancelling an unknown id is no error, since the answer
 * may have crossed it. A client that closes its sending side has gone. The greeting, `agent.stop` and this framing stay as they are in every
 * protocol version, so that a new command can end an old agent.
 */

import { z } from 'zod';
// Not through the folder's index: this file runs in browsers too, where there are no files.
import { wireError } from '../common/wire-error.ts';

/** Raised when a call or a view changes in a way the other side would misread. Zero is never valid. */
export const PROTOCOL_VERSION = 1;

/** Longest line either side accepts or sends, bytes. */
export const MAX_LINE_BYTES = 1 << 20;
export const MAX_CONNECTIONS = 64;
/** Calls under way on one connection. */
export const MAX_CALLS = 16;
/** A line that has begun must end within this time. */
export const PARTIAL_LINE_TIMEOUT_MS = 10_000;
/**
 * With more than this unread by the client nothing further is read from it, and of each stream only
 * the newest item is kept.
 */
export const OUTPUT_HIGH_WATER_BYTES = 256 << 10;
/**
 * A client that lets more than this pile up is disconnected. Room for the longest answer to every
 * call under way: one that merely reads late is never cut off.
 */
export const MAX_OUTPUT_BYTES = (MAX_CALLS + 1) * MAX_LINE_BYTES;

const callId = z.int().min(1);

export const greeting = z.object({
  sojourn: z.literal('api'),
  protocol: z.int().min(1),
  version: z.string().max(64),
  pid: z.int(),
});

export const clientMessage = z.union([
  z.strictObject({ id: callId, call: z.string().max(64), input: z.unknown() }),
  z.strictObject({ id: callId, cancel: z.literal(true) }),
]);

export const serverMessage = z.union([
  z.strictObject({ id: callId, item: z.unknown() }),
  z.strictObject({ id: callId, result: z.unknown() }),
  z.strictObject({ id: callId, error: wireError }),
  z.strictObject({ error: wireError }),
]);

export type WireError = z.infer<typeof wireError>;
export type Greeting = z.infer<typeof greeting>;
export type ClientMessage = z.infer<typeof clientMessage>;
export type ServerMessage = z.infer<typeof serverMessage>;
