/** Multipart bodies over several messages (OpenFlow 1.3.5, 7.3.5): splitting and putting together again, with caps. */
import { encodeMessage, MAX_MESSAGE_BYTES } from './codec/codec.ts';
import { type OpenFlowError, openFlowError } from './errors.ts';
import type {
  MultipartKind,
  MultipartReply,
  MultipartReplyBody,
  MultipartRequest,
  MultipartRequestBody,
} from './multipart.ts';

/** The array of the bodies that may be spread over messages, by kind. */
const lists: { readonly [K in MultipartKind]?: string } = {
  flow: 'flows',
  table: 'tables',
  'port-stats': 'ports',
  queue: 'queues',
  group: 'groups',
  'group-desc': 'groups',
  meter: 'meters',
  'meter-config': 'meters',
  'table-features': 'tables',
  'port-desc': 'ports',
};

type Body = MultipartRequestBody | MultipartReplyBody;

function listOf(body: Body): { name: string; items: readonly unknown[] } | undefined {
  const name = lists[body.kind];
  const items = name === undefined ? undefined : (body as Record<string, unknown>)[name];
  return Array.isArray(items) ? { name: name as string, items } : undefined;
}

/** Encoded messages for a reply of any length, in order; all but the last say that more follow. */
export function encodeReply(xid: number, body: MultipartReplyBody): Buffer[] {
  return encodeParts(xid, body, (more, part) => ({ type: 'multipart-reply', more, body: part }));
}

/** The same for a request: table features may be longer than a message. */
export function encodeRequest(xid: number, body: MultipartRequestBody): Buffer[] {
  return encodeParts(xid, body, (more, part) => ({ type: 'multipart-request', more, body: part }));
}

function encodeParts<B extends Body>(
  xid: number,
  body: B,
  message: (more: boolean, body: B) => MultipartRequest | MultipartReply,
): Buffer[] {
  const found = listOf(body);
  if (found === undefined || found.items.length < 2)
    return [encodeMessage(xid, message(false, body))];
  const { name, items } = found;
  const empty = encodeMessage(xid, message(true, { ...body, [name]: [] }));
  const parts: Buffer[] = [];
  let chunks: Buffer[] = [empty];
  let length = empty.length;
  const close = () => {
    const part = Buffer.concat(chunks, length);
    part.writeUInt16BE(length, 2);
    parts.push(part);
    chunks = [empty];
    length = empty.length;
  };
  for (const item of items) {
    const encoded = encodeMessage(xid, message(true, { ...body, [name]: [item] }));
    const entry = encoded.subarray(empty.length);
    if (length + entry.length > MAX_MESSAGE_BYTES) close();
    chunks.push(entry);
    length += entry.length;
  }
  close();
  // The last part has no flag for more: be16 flags after the header and the type.
  (parts.at(-1) as Buffer).writeUInt16BE(0, 10);
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
  readonly #limits: AssemblyLimits;
  readonly #open = new Map<number, Assembly>();
  #bytes = 0;

  constructor(limits: AssemblyLimits = ASSEMBLY_LIMITS) {
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
    const list = listOf(body);
    if (assembly.kind !== body.kind || list === undefined) {
      this.drop(xid);
      throw openFlowError('bad-request', 'bad-multipart', `a part of ${body.kind}`);
    }
    this.#bytes += length;
    assembly.bytes += length;
    if (this.#bytes > this.#limits.bytes) throw this.#overflow(xid);
    for (const item of list.items) assembly.items.push(item);
    if (more) return undefined;
    this.drop(xid);
    return { ...body, [list.name]: assembly.items };
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
