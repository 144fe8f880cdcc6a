/** Names and numbers of the SPICE agent protocol (spice-protocol, `vd_agent.h`), as far as text is concerned. */

/** By which the guest's agent finds its port. */
export const VDAGENT_PORT_NAME = 'com.redhat.spice.0';

/** Text of one clipboard, bytes of UTF-8. */
export const MAX_CLIPBOARD_BYTES = 512 << 10;

/** `VDAgentMessage.type`. */
export const MESSAGE = {
  clipboard: 4,
  announceCapabilities: 6,
  clipboardGrab: 7,
  clipboardRequest: 8,
  clipboardRelease: 9,
  maxClipboard: 14,
} as const;

/** Bits of `VDAgentAnnounceCapabilities.caps`. */
export const CAPABILITY = {
  clipboardByDemand: 5,
  clipboardSelection: 6,
  guestLineEndCrlf: 9,
  maxClipboard: 10,
} as const;

/** `VD_AGENT_CLIPBOARD_*`: what a clipboard may hold. */
export const FORMAT = { none: 0, utf8Text: 1 } as const;

/** `VD_AGENT_CLIPBOARD_SELECTION_*`: the one of Ctrl-C and Ctrl-V, beside X11's others. */
export const CLIPBOARD = 0;

export type VdMessage =
  | {
      readonly kind: 'capabilities';
      /** The other side is to say its own as well. */
      readonly request: boolean;
      readonly capabilities: ReadonlySet<number>;
    }
  | { readonly kind: 'grab'; readonly selection: number; readonly formats: readonly number[] }
  | { readonly kind: 'request'; readonly selection: number; readonly format: number }
  | {
      readonly kind: 'clipboard';
      readonly selection: number;
      readonly format: number;
      readonly data: Uint8Array;
    }
  | { readonly kind: 'release'; readonly selection: number }
  /** The longest text that the other side is to send, bytes. */
  | { readonly kind: 'max-clipboard'; readonly bytes: number }
  /** Of which nothing is wanted. */
  | { readonly kind: 'other'; readonly type: number };
