/**
 * What a viewer says of clipboards: ClientCutText with RFB's extended clipboard (rfbproto, "Extended Clipboard
 * Pseudo-Encoding"): u8 6, 3 bytes of nothing, s32 minus the length of what follows, u32 flags, and for `provide` a zlib
 * stream of u32 length and the text, UTF-8 with lines that end in CR LF and a NUL at its end. All big endian.
 */

/** Text of one clipboard, bytes of UTF-8. */
export const MAX_CLIPBOARD_TEXT = 512 << 10;

const CLIENT_CUT_TEXT = 6;
const HEADER_BYTES = 8;
const TEXT = 1 << 0;
const REQUEST = 1 << 25;
const PEEK = 1 << 26;
const NOTIFY = 1 << 27;
const PROVIDE = 1 << 28;
const ACTIONS = 0xff00_0000;

export type ClipboardMessage =
  /** The viewer takes part. Its capabilities say nothing: noVNC tells them to any display that has told its own. */
  | { readonly kind: 'peek' }
  /** It has text, or has it no more. */
  | { readonly kind: 'notify'; readonly has: boolean }
  /** It wants the guest's text. */
  | { readonly kind: 'request' }
  /** The text that was wanted, in a zlib stream. */
  | { readonly kind: 'provide'; readonly deflated: Uint8Array };

export function clipboardMessage(message: ClipboardMessage): Uint8Array<ArrayBuffer> {
  const [flags, payload] = parts(message);
  const bytes = new Uint8Array(HEADER_BYTES + 4 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = CLIENT_CUT_TEXT;
  view.setInt32(4, -(4 + payload.length));
  view.setUint32(HEADER_BYTES, flags);
  bytes.set(payload, HEADER_BYTES + 4);
  return bytes;
}

/** Undefined for one that asks for nothing that is here. @throws Error for a text without the extension */
export function readClipboardMessage(bytes: Uint8Array): ClipboardMessage | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES + 4 || view.getInt32(4) >= 0)
    throw new Error('a clipboard without the extension');
  const flags = view.getUint32(HEADER_BYTES);
  switch ((flags & ACTIONS) >>> 0) {
    case NOTIFY:
      return { kind: 'notify', has: (flags & TEXT) !== 0 };
    case REQUEST:
      return { kind: 'request' };
    case PROVIDE:
      return { kind: 'provide', deflated: bytes.subarray(HEADER_BYTES + 4) };
    case PEEK:
      return { kind: 'peek' };
    default:
      return undefined;
  }
}

/** @param text at most `MAX_CLIPBOARD_TEXT` long */
export async function deflatedText(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const data = new TextEncoder().encode(`${text.replaceAll(/\r?\n/g, '\r\n')}\0`);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, data.length);
  const stream = new Blob([length, data]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Of a text, bytes of UTF-8. */
export function fitsClipboard(text: string): boolean {
  return (
    text.length <= MAX_CLIPBOARD_TEXT && new TextEncoder().encode(text).length <= MAX_CLIPBOARD_TEXT
  );
}

function parts(message: ClipboardMessage): [flags: number, payload: Uint8Array] {
  const nothing = new Uint8Array(0);
  switch (message.kind) {
    case 'peek':
      return [PEEK, nothing];
    case 'notify':
      return [NOTIFY | (message.has ? TEXT : 0), nothing];
    case 'request':
      return [REQUEST | TEXT, nothing];
    case 'provide':
      return [PROVIDE | TEXT, message.deflated];
  }
}
