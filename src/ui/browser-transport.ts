/** The transport of a browser: one WebSocket to the agent that served the page, opened when it is needed. */
import {
  type CallName,
  type ClientMessage,
  contract,
  greeting,
  PROTOCOL_VERSION,
  screenNote,
  serverMessage,
  type WireError,
} from '../api/schema.ts';
import type { AgentTransport, ScreenEvent, ScreenLink, StreamEvent } from './transport.ts';

/** Where the key of the session is kept: for this origin and this tab, and gone with it. */
const KEY = 'sojourn-key';

interface Pending {
  readonly name: CallName;
  readonly item: (item: unknown) => void;
  readonly end: (result: unknown) => void;
  readonly fail: (error: WireError) => void;
}

/**
 * Trades the token of the page's address for a session, and takes it out of the address. @throws WireError `link-used`,
 * `session-over`, `agent-gone`
 */
export async function enter(): Promise<void> {
  const asked = new URLSearchParams(location.hash.slice(1));
  const token = asked.get('token');
  const key = sessionStorage.getItem(KEY);
  if (token !== null) {
    const screen = asked.get('screen');
    const place = screen === null ? '#/' : `#/screen/${encodeURIComponent(screen)}`;
    history.replaceState(null, '', place);
    // Replacing tells nobody.
    dispatchEvent(new Event('hashchange'));
    const response = await ask('POST', { 'Content-Type': 'application/json' }, { token });
    const answer = await response.json().catch(() => ({}));
    if (response.ok) sessionStorage.setItem(KEY, answer.key);
    // The same link, opened again in the same tab: the session that it made may still be good.
    else if (key === null) throw answer.error ?? sessionOver();
  }
  if (!(await isAllowed())) throw sessionOver();
}

async function isAllowed(): Promise<boolean> {
  const key = sessionStorage.getItem(KEY);
  if (key === null) return false;
  const { status } = await ask('GET', { Authorization: `Bearer ${key}` });
  return status === 204;
}

async function ask(
  method: string,
  headers: Record<string, string>,
  body?: unknown,
): Promise<Response> {
  const init = { method, headers, body: body === undefined ? null : JSON.stringify(body) };
  return fetch('/session', init).catch(() => {
    throw gone();
  });
}

export class BrowserTransport implements AgentTransport {
  readonly #pending = new Map<number, Pending>();
  #socket: Promise<WebSocket> | undefined;
  #nextId = 1;

  call: AgentTransport['call'] = (method, params) =>
    new Promise((resolve, reject) => {
      this.#begin(method, params, {
        name: method,
        item: () => {},
        end: (result) => resolve(result as never),
        fail: reject,
      });
    });

  subscribe: AgentTransport['subscribe'] = (method, params, onEvent) => {
    const tell = onEvent as (event: StreamEvent<never>) => void;
    let over = false;
    const once = (event: unknown) => {
      if (!over) tell(event as StreamEvent<never>);
    };
    const id = this.#begin(method, params, {
      name: method,
      item: (item) => once({ kind: 'item', item }),
      end: (result) => once({ kind: 'end', result }),
      fail: (error) => once({ kind: 'error', error }),
    });
    return () => {
      over = true;
      if (!this.#pending.has(id)) return;
      this.#send({ id, cancel: true });
    };
  };

  screen: AgentTransport['screen'] = (guestId, onEvent) => {
    const protocols = ['sojourn.1', `sojourn-key.${sessionStorage.getItem(KEY)}`];
    const socket = new WebSocket(`ws://${location.host}/screen/${guestId}`, protocols);
    socket.binaryType = 'arraybuffer';
    return screenLink(socket, onEvent);
  };

  #begin(method: CallName, input: unknown, pending: Pending): number {
    const id = this.#nextId++;
    this.#pending.set(id, pending);
    this.#send({ id, call: method, input });
    return id;
  }

  #send(message: ClientMessage): void {
    this.#socket ??= this.#open();
    this.#socket.then(
      (socket) => socket.send(JSON.stringify(message)),
      (error: WireError) => this.#settle(message.id)?.fail(error),
    );
  }

  #open(): Promise<WebSocket> {
    const opening = this.#connect();
    // Whoever calls next tries again.
    opening.catch(() => {
      this.#socket = undefined;
    });
    return opening;
  }

  async #connect(): Promise<WebSocket> {
    if (!(await isAllowed())) throw sessionOver();
    const protocols = ['sojourn.1', `sojourn-key.${sessionStorage.getItem(KEY)}`];
    const socket = new WebSocket(`ws://${location.host}/`, protocols);
    return new Promise((resolve, reject) => {
      const lose = (error: WireError) => {
        reject(error);
        this.#socket = undefined;
        for (const id of [...this.#pending.keys()]) this.#settle(id)?.fail(error);
        socket.close();
      };
      socket.addEventListener('close', () => lose(gone()), { once: true });
      socket.addEventListener(
        'message',
        ({ data }) => {
          const hello = greeting.safeParse(parse(data));
          if (!hello.success) lose(refusalOf(data) ?? malformed());
          else if (hello.data.protocol !== PROTOCOL_VERSION) lose(otherVersion());
          else {
            socket.addEventListener('message', (event) => this.#receive(event.data, lose));
            resolve(socket);
          }
        },
        { once: true },
      );
    });
  }

  #receive(data: unknown, lose: (error: WireError) => void): void {
    const { data: message } = serverMessage.safeParse(parse(data));
    if (message === undefined || !('id' in message)) {
      lose(message?.error ?? malformed());
      return;
    }
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    if ('item' in message) {
      const item = parseItem(pending.name, message.item);
      if (item === undefined) this.#settle(message.id)?.fail(malformed());
      else pending.item(item);
      return;
    }
    this.#settle(message.id);
    if ('error' in message) {
      pending.fail(message.error);
      return;
    }
    const result = contract[pending.name].output.safeParse(message.result);
    if (result.success) pending.end(result.data);
    else pending.fail(malformed());
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }
}

/** Not taken by the connection yet; what a person types never comes near it, bytes. */
const MAX_UNSENT_INPUT = 1 << 20;

function screenLink(socket: WebSocket, onEvent: (event: ScreenEvent) => void): ScreenLink {
  let over = false;
  const end = (error: WireError | null) => {
    if (over) return;
    over = true;
    socket.close();
    onEvent({ kind: 'closed', error });
  };
  socket.addEventListener('message', ({ data }) => {
    if (over) return;
    if (data instanceof ArrayBuffer) {
      onEvent({ kind: 'picture', bytes: new Uint8Array(data) });
      return;
    }
    const note = screenNote.safeParse(parse(data));
    if (note.success) onEvent({ kind: 'note', note: note.data });
    else end(malformed());
  });
  socket.addEventListener('close', () => end(gone()));
  return {
    send: (bytes) => {
      if (socket.bufferedAmount > MAX_UNSENT_INPUT) end(gone());
      else if (!over) socket.send(bytes as Uint8Array<ArrayBuffer>);
    },
    close: () => {
      over = true;
      socket.close();
    },
  };
}

/** Undefined for what is no item of the call. */
function parseItem(name: CallName, item: unknown): unknown {
  const shape = contract[name];
  return 'item' in shape ? shape.item.safeParse(item).data : undefined;
}

function parse(data: unknown): unknown {
  try {
    return JSON.parse(String(data));
  } catch {
    return undefined;
  }
}

function refusalOf(data: unknown): WireError | undefined {
  const message = serverMessage.safeParse(parse(data));
  return message.success && 'error' in message.data ? message.data.error : undefined;
}

function sessionOver(): WireError {
  return {
    kind: 'refused',
    code: 'session-over',
    message: 'This browser may not use the agent, or not any more',
    remedy: 'Run "sojourn ui" and follow the link it gives',
  };
}

function gone(): WireError {
  return {
    kind: 'unreachable',
    code: 'agent-gone',
    message: 'The agent does not answer',
    remedy: 'Start it if it has ended (guests go on without it)',
  };
}

function malformed(): WireError {
  return {
    kind: 'internal',
    code: 'answer-malformed',
    message: 'The answer of the agent cannot be understood',
    remedy: 'Make sure that agent and window are of the same version',
  };
}

function otherVersion(): WireError {
  return {
    kind: 'requirement',
    code: 'agent-version',
    message: 'The agent is of another version than this window',
    remedy: 'Stop the agent, start this version and load the page again (guests go on)',
  };
}
