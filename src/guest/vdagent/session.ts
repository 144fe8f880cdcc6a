/**
 * The clipboard between a guest's agent and whoever looks at its screen: pure. Text crosses only when it is asked for.
 *
 *   absent ──capabilities──► ready ──grab──► the guest has text ──ask──► asked ──clipboard──► text
 *                              └────offer──► we have text ──request──► wanted ──provide──► clipboard
 */
import { CAPABILITY, CLIPBOARD, FORMAT, MAX_CLIPBOARD_BYTES, type VdMessage } from './protocol.ts';

/** What this side can do. */
const OURS: ReadonlySet<number> = new Set([
  CAPABILITY.clipboardByDemand,
  CAPABILITY.clipboardSelection,
]);

export interface VdState {
  /** The guest's agent has said that it takes part. */
  readonly ready: boolean;
  /** Both sides can tell selections. */
  readonly selections: boolean;
  /** Lines end in CR LF in the guest. */
  readonly crlf: boolean;
  /** The guest has text that can be asked for. */
  readonly copied: boolean;
  /** It has been asked for its text. */
  readonly asked: boolean;
  /** Somebody on our side has text. */
  readonly offered: boolean;
  /** The guest has asked for ours. */
  readonly wanted: boolean;
}

export type VdEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'message'; readonly message: VdMessage }
  /** Somebody here has text for the guest, or has it no more. */
  | { readonly kind: 'offer'; readonly has: boolean }
  /** Somebody here wants the guest's text. */
  | { readonly kind: 'ask' }
  /** What the guest has wanted; null: nobody has it any more. */
  | { readonly kind: 'provide'; readonly text: string | null };

export type VdAction =
  | { readonly kind: 'send'; readonly message: VdMessage }
  /** Whether the guest takes part has changed. */
  | { readonly kind: 'ready'; readonly ready: boolean }
  /** The guest has new text. */
  | { readonly kind: 'copied' }
  /** The guest wants the text that was offered. */
  | { readonly kind: 'wanted' }
  /** The guest's text, which was asked for; empty where it has none, or too long a one. */
  | { readonly kind: 'text'; readonly text: string };

export interface VdStep {
  readonly state: VdState;
  readonly actions: readonly VdAction[];
}

export const firstVdState: VdState = {
  ready: false,
  selections: false,
  crlf: false,
  copied: false,
  asked: false,
  offered: false,
  wanted: false,
};

export function stepVdagent(state: VdState, event: VdEvent): VdStep {
  switch (event.kind) {
    case 'connected':
      return { state, actions: [announce(true)] };
    case 'disconnected':
      return {
        state: { ...firstVdState, offered: state.offered },
        actions: [...unanswered(state), ...(state.ready ? [tellReady(false)] : [])],
      };
    case 'offer':
      return offer(state, event.has);
    case 'ask':
      if (!state.copied) return { state, actions: [{ kind: 'text', text: '' }] };
      if (state.asked) return { state, actions: [] };
      return {
        state: { ...state, asked: true },
        actions: [send({ kind: 'request', selection: CLIPBOARD, format: FORMAT.utf8Text })],
      };
    case 'provide':
      if (!state.wanted) return { state, actions: [] };
      return { state: { ...state, wanted: false }, actions: [clipboard(event.text, state.crlf)] };
    case 'message':
      return heard(state, event.message);
  }
}

function offer(state: VdState, has: boolean): VdStep {
  const next = { ...state, offered: has };
  if (!state.ready) return { state: next, actions: [] };
  if (has) {
    // From now on the text is ours.
    return {
      state: { ...next, copied: false, asked: false },
      actions: [...unanswered(state), grab],
    };
  }
  if (!state.offered) return { state, actions: [] };
  const answer = state.wanted ? [clipboard(null, false)] : [];
  return { state: { ...next, wanted: false }, actions: [...answer, release] };
}

function heard(state: VdState, message: VdMessage): VdStep {
  if (message.kind === 'capabilities') return met(state, message);
  // A guest's agent says what it can before anything else, and only Ctrl-C's clipboard is of interest.
  if (!state.ready || !('selection' in message) || message.selection !== CLIPBOARD)
    return { state, actions: [] };
  switch (message.kind) {
    case 'grab': {
      const copied = message.formats.includes(FORMAT.utf8Text);
      return {
        state: { ...state, copied, asked: false, offered: false, wanted: false },
        actions: [...unanswered(state), ...(copied ? [{ kind: 'copied' } as const] : [])],
      };
    }
    case 'release':
      return { state: { ...state, copied: false, asked: false }, actions: unanswered(state) };
    case 'request':
      if (state.offered && message.format === FORMAT.utf8Text)
        return { state: { ...state, wanted: true }, actions: [{ kind: 'wanted' }] };
      return { state, actions: [clipboard(null, false)] };
    case 'clipboard':
      if (!state.asked) return { state, actions: [] };
      return {
        state: { ...state, asked: false },
        actions: [{ kind: 'text', text: textOf(message.format, message.data, state.crlf) }],
      };
  }
}

/** The guest's agent has come, or has begun anew. */
function met(state: VdState, message: VdMessage & { kind: 'capabilities' }): VdStep {
  const { capabilities, request } = message;
  const ready = capabilities.has(CAPABILITY.clipboardByDemand);
  const next: VdState = {
    ...{ ready, copied: false, asked: false, wanted: false, offered: state.offered },
    selections: capabilities.has(CAPABILITY.clipboardSelection),
    crlf: capabilities.has(CAPABILITY.guestLineEndCrlf),
  };
  const limit = { kind: 'max-clipboard', bytes: MAX_CLIPBOARD_BYTES } as const;
  return {
    state: next,
    actions: [
      ...unanswered(state),
      ...(request ? [announce(false)] : []),
      ...(capabilities.has(CAPABILITY.maxClipboard) ? [send(limit)] : []),
      ...(ready === state.ready ? [] : [tellReady(ready)]),
      ...(ready && state.offered ? [grab] : []),
    ],
  };
}

/** Whoever waits for the guest's text learns that it does not come. */
function unanswered({ asked }: VdState): VdAction[] {
  return asked ? [{ kind: 'text', text: '' }] : [];
}

function clipboard(text: string | null, crlf: boolean): VdAction {
  const wanted = text === null || !crlf ? text : text.replaceAll(/\r?\n/g, '\r\n');
  const data = Buffer.from(wanted ?? '');
  const fits = wanted !== null && data.length <= MAX_CLIPBOARD_BYTES;
  return send({
    kind: 'clipboard',
    selection: CLIPBOARD,
    format: fits ? FORMAT.utf8Text : FORMAT.none,
    data: fits ? data : Buffer.alloc(0),
  });
}

function textOf(format: number, data: Uint8Array, crlf: boolean): string {
  if (format !== FORMAT.utf8Text || data.length > MAX_CLIPBOARD_BYTES) return '';
  // Agents on Windows send the NUL at its end as well.
  const text = Buffer.from(data).toString().replace(/\0+$/, '');
  return crlf ? text.replaceAll('\r\n', '\n') : text;
}

function send(message: VdMessage): VdAction {
  return { kind: 'send', message };
}

function announce(request: boolean): VdAction {
  return send({ kind: 'capabilities', request, capabilities: OURS });
}

function tellReady(ready: boolean): VdAction {
  return { kind: 'ready', ready };
}

const grab = send({ kind: 'grab', selection: CLIPBOARD, formats: [FORMAT.utf8Text] });
const release = send({ kind: 'release', selection: CLIPBOARD });
