/** Multipart bodies over several messages (OpenFlow 1.3.5, 7.3.5): splitting and putting together again, with caps. */
import { encodeMessage, MAX_MESSAGE_BYTES } from './codec/codec.ts';
import { listKind } from './codec/multipart.ts';
import { Writer } from './codec/wire.ts';
import { type OpenFlowError, openFlowError } from './errors.ts';
import type { MultipartKind, MultipartReplyBody, MultipartRequestBody } from './multipart.ts';

type Body = MultipartRequestBody | MultipartReplyBody;
type Direction = 'request' | 'reply';

/** Of the header of a message, and of that of a multipart body. */
const LENGTH_AT = 2;
const FLAGS_AT = 10;

function listOf(body: Body, direction: Direction): readonly object[] | undefined {
  const kind = listKind(body.kind, direction);
  return (
    kind && ((body as unknown as Record<string, readonly object[]>)[kind.list] as readonly object[])
  );
}

/** Encoded messages for a reply of any length, in order; all but the last say that more follow. */
export function encodeReply(xid: number, body: MultipartReplyBody): Buffer[] {
  const whole = (part: MultipartReplyBody) =>
    encodeMessage(xid, { type: 'multipart-reply', more: true, body: part });
  return encodeParts(body, 'reply', whole);
}

/** The same for a request: table features may be longer than a message. */
export function encodeRequest(xid: number, body: MultipartRequestBody): Buffer[] {
  const whole = (part: MultipartRequestBody) =>
    encodeMessage(xid, { type: 'multipart-request', more: true, body: part });
  return encodeParts(body, 'request', whole);
}

function encodeParts<B extends Body>(
  body: B,
  direction: Direction,
  encode: (body: B) => Buffer,
): Buffer[] {
  const kind = listKind(body.kind, direction);
  const parts: Buffer[] = [];
  if (kind === undefined) parts.push(encode(body));
  else {
    const head = encode({ ...body, [kind.list]: [] });
    let to = new Writer();
    to.bytes(head);
    for (const item of listOf(body, direction) ?? []) {
      const start = to.length;
      kind.item.write(to, item as never);
      if (to.length <= MAX_MESSAGE_BYTES) continue;
      // It goes into the next one.
      const last = Buffer.from(to.view(start));
      if (start === head.length) throw new RangeError(`an item of ${last.length} bytes`);
      parts.push(to.finish().subarray(0, start));
      to = new Writer();
      to.bytes(head);
      to.bytes(last);
    }
    parts.push(to.finish());
  }
  for (const part of parts) part.writeUInt16BE(part.length, LENGTH_AT);
  (parts.at(-1) as Buffer).writeUInt16BE(0, FLAGS_AT);
  return parts;
}

interface Assembly {
  readonly kind: MultipartKind;
  readonly items: unknown[];
  bytes: number;
}

export interface AssemblyLimits {
  /** Multipart messages of different xids that may be incomplete at once. */
  readonly concurrent: number;
  /** Bytes on the wire of all that is incomplete. */
  readonly bytes: number;
}

export const ASSEMBLY_LIMITS: AssemblyLimits = { concurrent: 16, bytes: 64 * 1024 * 1024 };

/** Puts the parts of multipart messages of one direction together. */
export class MultipartAssembler<B extends Body> {
  readonly #direction: Direction;
  readonly #limits: AssemblyLimits;
  readonly #open = new Map<number, Assembly>();
  #bytes = 0;

  constructor(direction: Direction, limits: AssemblyLimits = ASSEMBLY_LIMITS) {
    this.#direction = direction;
    this.#limits = limits;
  }

  /** @returns whether parts with this xid came and the last has not. */
  isOpen(xid: number): boolean {
    return this.#open.has(xid);
  }

  /**
   * @param length bytes of the part on the wire
   * @returns the whole body with the last part, undefined before
   * @throws OpenFlowError: bad-request/multipart-buffer-overflow over a cap, bad-request/bad-multipart when
   *   a part is of another kind than those before, or of a kind that has no parts.
   */
  add(xid: number, more: boolean, body: B, length: number): B | undefined {
    const open = this.#open.get(xid);
    if (open === undefined && !more) return body;
    const assembly = open ?? this.#start(xid, body);
    const list = listOf(body, this.#direction);
    const kind = listKind(body.kind, this.#direction);
    if (assembly.kind !== body.kind || list === undefined || kind === undefined) {
      this.drop(xid);
      throw openFlowError('bad-request', 'bad-multipart', `a part of ${body.kind}`);
    }
    this.#bytes += length;
    assembly.bytes += length;
    if (this.#bytes > this.#limits.bytes) throw this.#overflow(xid);
    for (const item of list) assembly.items.push(item);
    if (more) return undefined;
    this.drop(xid);
    return { ...body, [kind.list]: assembly.items };
  }

  #start(xid: number, body: B): Assembly {
    if (this.#open.size >= this.#limits.concurrent) throw this.#overflow(xid);
    const { kind } = body;
    const assembly = { kind, items: [], bytes: 0 };
    this.#open.set(xid, assembly);
    return assembly;
  }

  #overflow(xid: number): OpenFlowError {
    this.drop(xid);
    return openFlowError('bad-request', 'multipart-buffer-overflow', `xid ${xid}`);
  }

  /** Forgets what came of an unfinished message. */
  drop(xid: number): void {
    this.#bytes -= this.#open.get(xid)?.bytes ?? 0;
    this.#open.delete(xid);
  }
}
