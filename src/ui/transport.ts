/**
 * How the window reaches the agent. There are two implementations: a WebSocket in a browser
 * (`src/ui/browser-transport.ts`), and `window.sojourn`, which Electron's preload script exposes.
 *
 * Everything that crosses is plain data, because Electron's context bridge copies it and drops the
 * prototype and the fields of errors: a call rejects with a `WireError` object, never an `Error`.
 */
import type {
  CallInput,
  CallItem,
  CallName,
  CallOutput,
  ScreenNote,
  StreamName,
  WireError,
} from '../api/schema.ts';

/** Of a streaming call: snapshots, then exactly one `end` or `error` unless it was unsubscribed before. */
export type StreamEvent<Name extends StreamName> =
  | { readonly kind: 'item'; readonly item: CallItem<Name> }
  | { readonly kind: 'end'; readonly result: CallOutput<Name> }
  | { readonly kind: 'error'; readonly error: WireError };

/** Of a guest's screen (`api/screen.ts`): any number of pictures and notes, then `closed`. */
export type ScreenEvent =
  | { readonly kind: 'picture'; readonly bytes: Uint8Array }
  | { readonly kind: 'note'; readonly note: ScreenNote }
  | { readonly kind: 'closed'; readonly error: WireError | null };

/** One connection to a guest's display. */
export interface ScreenLink {
  /** RFB, as a client speaks it. Dropped when the connection has ended. */
  send(bytes: Uint8Array): void;
  /** No event comes any more. */
  close(): void;
}

export interface AgentTransport {
  /** Also for streaming calls, whose items are then dropped. @throws WireError, as a plain object */
  call<Name extends CallName>(method: Name, params: CallInput<Name>): Promise<CallOutput<Name>>;
  /**
   * Returns what ends it: the call is cancelled, and no event comes any more. After a lost connection the event
   * is an error of kind `unreachable`; subscribing again connects again.
   */
  subscribe<Name extends StreamName>(
    method: Name,
    params: CallInput<Name>,
    onEvent: (event: StreamEvent<Name>) => void,
  ): () => void;
  /** Connects to the guest's screen, wherever it runs. Events come after this has returned. */
  screen(guestId: string, onEvent: (event: ScreenEvent) => void): ScreenLink;
}

/** What only a desktop shell can do; what is absent is not offered. `window.sojourn.shell` in Electron. */
export interface DesktopShell {
  /** Lets a person choose a folder or file of this machine; null when nothing was chosen. */
  pickPath?(): Promise<string | null>;
  /** Opens the guest's screen in a window of its own. */
  openScreen?(guestId: string): Promise<void>;
  /** Text of this device's clipboard, for a window that shows a screen and has the focus. @throws WireError otherwise */
  readClipboard?(): Promise<string>;
  /** Opens the guest's serial console in a terminal. */
  openConsole?(guestId: string): Promise<void>;
}

/** What the preload script exposes as `window.sojourn`. */
export interface DesktopBridge extends AgentTransport {
  readonly shell?: DesktopShell;
}
