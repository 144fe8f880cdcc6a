/**
 * A guest's port of the SPICE agent, held open for as long as its QEMU runs: an agent in the guest that finds nobody at the
 * other end looks a hundred times a second. What comes of it is the guest's, so it is checked and bounded.
 */
import { EventEmitter } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeMessage, VdagentProtocolError, VdMessages } from './codec.ts';
import { MAX_CLIPBOARD_BYTES } from './protocol.ts';
import { firstVdState, stepVdagent, type VdAction, type VdEvent, type VdState } from './session.ts';

/** What the guest has not taken, bytes; the port begins anew above it. */
const MAX_UNSENT_BYTES = 4 * MAX_CLIPBOARD_BYTES;
/** Before the port is opened again, ms: twice as long after each fault. */
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 60_000;

interface PortEvents {
  /** Whether the guest takes part, or why it does not any more, has changed. */
  ready: [];
  copied: [];
  wanted: [];
  text: [text: string];
}

export class VdagentPort extends EventEmitter<PortEvents> {
  readonly #path: string;
  #state: VdState = firstVdState;
  #socket: Socket | undefined;
  #faults = 0;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  /** What the guest has done wrong last. */
  problem: string | undefined;

  /** @param path the port's unix socket; it is opened after `delayMs` */
  constructor(path: string, delayMs: number) {
    super();
    this.#path = path;
    this.#openAfter(delayMs);
  }

  /** The guest's agent takes part. */
  get ready(): boolean {
    return this.#state.ready;
  }

  /** The guest has text. */
  get hasText(): boolean {
    return this.#state.copied;
  }

  offer(has: boolean): void {
    this.#step({ kind: 'offer', has });
  }

  /** `text` follows, with what the guest has. */
  ask(): void {
    this.#step({ kind: 'ask' });
  }

  /** What was `wanted`; null where nobody has it any more. */
  provide(text: string | null): void {
    this.#step({ kind: 'provide', text });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket?.destroy();
  }

  #openAfter(delayMs: number): void {
    this.#retry = setTimeout(() => this.#open(), delayMs);
    this.#retry.unref();
  }

  #open(): void {
    const socket = connect(this.#path);
    const messages = new VdMessages();
    this.#socket = socket;
    socket.on('connect', () => this.#step({ kind: 'connected' }));
    socket.on('data', (chunk) => {
      try {
        for (const message of messages.push(chunk as Buffer)) {
          this.#step({ kind: 'message', message });
          messages.selections = this.#state.selections;
        }
      } catch (error) {
        if (!(error instanceof VdagentProtocolError)) throw error;
        this.#fail(error.message);
      }
    });
    // Its close follows, and says all that matters.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#step({ kind: 'disconnected' });
      if (this.#closed) return;
      this.#faults += 1;
      this.#openAfter(Math.min(FIRST_RETRY_MS * 2 ** this.#faults, LAST_RETRY_MS));
    });
  }

  /** Its agent begins anew when it sees the port closed and opened. */
  #fail(problem: string): void {
    this.problem = problem;
    // One that took part is missed when the port closes.
    if (!this.#state.ready) this.emit('ready');
    this.#socket?.destroy();
  }

  #step(event: VdEvent): void {
    const { state, actions } = stepVdagent(this.#state, event);
    this.#state = state;
    for (const action of actions) this.#act(action);
  }

  #act(action: VdAction): void {
    switch (action.kind) {
      case 'send': {
        const socket = this.#socket;
        if (socket === undefined || socket.destroyed) return;
        socket.write(encodeMessage(action.message, this.#state.selections));
        if (socket.writableLength > MAX_UNSENT_BYTES) this.#fail('it takes nothing');
        return;
      }
      case 'ready':
        if (action.ready) this.problem = undefined;
        this.emit('ready');
        return;
      case 'copied':
      case 'wanted':
        this.emit(action.kind);
        return;
      case 'text':
        this.emit('text', action.text);
    }
  }
}
