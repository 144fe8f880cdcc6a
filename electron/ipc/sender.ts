/** Who may send: the top frame of a window of ours that shows our page, and nobody else. */

/** Of a `WebFrameMain`, as far as it is looked at. */
export interface SenderFrame {
  readonly url: string;
  readonly parent: unknown;
}

/** @param frame null once the frame has navigated away or is gone */
export function isTrusted(frame: SenderFrame | null, origin: string): boolean {
  if (frame === null || frame.parent !== null) return false;
  if (!URL.canParse(frame.url)) return false;
  // `URL.origin` is "null" for schemes that the URL standard does not know.
  const { protocol, host } = new URL(frame.url);
  return `${protocol}//${host}` === origin;
}
