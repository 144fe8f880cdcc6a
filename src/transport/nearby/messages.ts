/**
 * What crosses between two devices that pair nearby: lines of JSON over TLS. A stranger sends them, so each is small, their sum
 * is bounded, and none of the text in them is more than text.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { placeInfo } from '../hello.ts';

/** A line, bytes; the longest is a `done` with eight addresses. */
export const MAX_LINE_BYTES = 2_048;
/** All that one side says in one attempt, bytes. */
export const MAX_ATTEMPT_BYTES = 8_192;

const hex256 = z.string().regex(/^[0-9a-f]{64}$/);
const address = z
  .string()
  .max(45)
  .refine((text) => isIP(text) !== 0, 'not an address');

/** Addresses and port under which a place listens for its peers; null when it only dials. */
export const listening = z
  .object({
    hosts: z.array(address).min(1).max(8),
    port: z.int().min(1).max(65_535),
  })
  .nullable();

export const refusalReason = z.enum([
  'refused',
  'codes-differ',
  'timed-out',
  'protocol',
  'busy',
  'too-many-tries',
]);
export type RefusalReason = z.infer<typeof refusalReason>;

export const nearbyMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('commit'),
    version: z.literal(1),
    place: placeInfo,
    commitment: hex256,
  }),
  z.object({ type: z.literal('reveal'), nonce: hex256 }),
  z.object({ type: z.literal('confirm') }),
  z.object({ type: z.literal('done'), listens: listening }),
  z.object({ type: z.literal('refuse'), reason: refusalReason }),
]);
export type NearbyMessage = z.infer<typeof nearbyMessage>;

export function encodeNearby(message: NearbyMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/** Takes bytes as they come; throws at the first that no honest peer would send. */
export class NearbyReader {
  #text = '';
  #bytes = 0;

  /** The messages that `chunk` completes. */
  read(chunk: Buffer): NearbyMessage[] {
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_ATTEMPT_BYTES) throw new Error('too much was sent');
    // Names outside ASCII may be cut in two by the network; JSON.stringify of a peer of ours may hold them raw.
    this.#text += chunk.toString('latin1');
    const lines = this.#text.split('\n');
    this.#text = lines.pop() ?? '';
    if (this.#text.length > MAX_LINE_BYTES || lines.some(({ length }) => length > MAX_LINE_BYTES))
      throw new Error('too long a line');
    return lines.map((line) =>
      nearbyMessage.parse(JSON.parse(Buffer.from(line, 'latin1').toString('utf8'))),
    );
  }
}
