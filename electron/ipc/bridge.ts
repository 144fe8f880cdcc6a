/** The main process's side of `window.sojourn`: checks every message and passes it on to the agent. */
import { type IpcMainEvent, type IpcMainInvokeEvent, ipcMain, type WebContents } from 'electron';
import type { ApiClient } from '../../src/api/index.ts';
import { SojournError, toWireError } from '../../src/common/index.ts';
import type { StreamEvent } from '../../src/ui/index.ts';
import { CALL, EVENT, SHELL, SUBSCRIBE, UNSUBSCRIBE } from './channels.ts';
import { readCall, readSubscription, type StreamRequest } from './requests.ts';
import {
  type Answer,
  MAX_UNDER_WAY,
  type ShellMessage,
  shellMessage,
  unsubscribeMessage,
} from './schema.ts';
import { ScreenBridge } from './screens.ts';
import { isTrusted } from './sender.ts';

export interface BridgeOptions {
  /** Of the page, `app://sojourn`. */
  readonly origin: string;
  /** The agent's socket for screens. */
  readonly screenSocket: string;
  /** Opens a connection to the agent. */
  readonly connect: () => Promise<ApiClient>;
  /** Does what only a desktop can, for this window. */
  readonly shell: (message: ShellMessage, window: WebContents) => Promise<unknown>;
  /** Told of every message that was refused. */
  readonly refused: (why: string) => void;
}

/** What one window has under way. */
interface Session {
  client: Promise<ApiClient> | undefined;
  calls: number;
  readonly streams: Map<number, AbortController>;
}

export class Bridge {
  readonly #options: BridgeOptions;
  readonly #sessions = new Map<WebContents, Session>();
  readonly #screens: ScreenBridge;

  constructor(options: BridgeOptions) {
    this.#options = options;
    ipcMain.handle(CALL, (event, message) => this.#answer(event, () => this.#call(event, message)));
    ipcMain.handle(SHELL, (event, message) =>
      this.#answer(event, () => options.shell(shellMessage.parse(message), event.sender)),
    );
    ipcMain.on(SUBSCRIBE, (event, message) => {
      if (this.#isTrusted(event)) void this.#subscribe(event.sender, message);
    });
    this.#screens = new ScreenBridge({
      socketPath: options.screenSocket,
      isTrusted: (event) => this.#isTrusted(event),
      refused: options.refused,
    });
    ipcMain.on(UNSUBSCRIBE, (event, message) => {
      if (!this.#isTrusted(event)) return;
      const parsed = unsubscribeMessage.safeParse(message);
      if (parsed.success) this.#sessions.get(event.sender)?.streams.get(parsed.data.id)?.abort();
    });
  }

  /** The page shows the screen of a guest. */
  showsScreen(page: WebContents): boolean {
    return this.#screens.shownBy(page);
  }

  async #answer(event: IpcMainInvokeEvent, work: () => Promise<unknown>): Promise<Answer> {
    try {
      if (!this.#isTrusted(event)) throw foreignSender();
      return { ok: true, result: await work() };
    } catch (error) {
      return { ok: false, error: toWireError(error) };
    }
  }

  #isTrusted({ senderFrame }: IpcMainInvokeEvent | IpcMainEvent): boolean {
    const trusted = isTrusted(senderFrame ?? null, this.#options.origin);
    if (!trusted)
      this.#options.refused(`a message of ${senderFrame?.url ?? 'a frame that is gone'}`);
    return trusted;
  }

  async #call({ sender }: IpcMainInvokeEvent, message: unknown): Promise<unknown> {
    const { method, params } = readCall(message);
    const session = this.#session(sender);
    this.#admit(session);
    session.calls += 1;
    try {
      const client = await this.#client(session);
      return await client.call(method, params);
    } finally {
      session.calls -= 1;
    }
  }

  async #subscribe(sender: WebContents, message: unknown): Promise<void> {
    let request: StreamRequest;
    try {
      request = readSubscription(message);
    } catch (error) {
      this.#options.refused(`a subscription: ${toWireError(error).message}`);
      return;
    }
    const { id, method, params } = request;
    const session = this.#session(sender);
    const abort = new AbortController();
    const send = (event: StreamEvent<typeof method>) => {
      if (!abort.signal.aborted && !sender.isDestroyed()) sender.send(EVENT, { id, event });
    };
    try {
      if (session.streams.has(id)) throw tooMuch();
      this.#admit(session);
      session.streams.set(id, abort);
      const client = await this.#client(session);
      const onItem = (item: Extract<StreamEvent<typeof method>, { kind: 'item' }>['item']) =>
        send({ kind: 'item', item });
      const result = await client.call(method, params, { signal: abort.signal, onItem });
      send({ kind: 'end', result });
    } catch (error) {
      send({ kind: 'error', error: toWireError(error) });
    } finally {
      if (session.streams.get(id) === abort) session.streams.delete(id);
    }
  }

  #admit({ calls, streams }: Session): void {
    if (calls + streams.size >= MAX_UNDER_WAY) throw tooMuch();
  }

  #session(sender: WebContents): Session {
    const known = this.#sessions.get(sender);
    if (known !== undefined) return known;
    const session: Session = { client: undefined, calls: 0, streams: new Map() };
    this.#sessions.set(sender, session);
    const end = () => {
      for (const stream of session.streams.values()) stream.abort();
      session.client?.then((client) => client.close()).catch(() => undefined);
      session.client = undefined;
    };
    // A page that is loaded again knows nothing of what the last one began.
    sender.on('did-start-navigation', ({ isMainFrame, isSameDocument }) => {
      if (isMainFrame && !isSameDocument) end();
    });
    sender.once('destroyed', () => {
      this.#sessions.delete(sender);
      end();
    });
    return session;
  }

  /** One connection for a window, made again after it was lost. */
  #client(session: Session): Promise<ApiClient> {
    if (session.client !== undefined) return session.client;
    const client = this.#options.connect();
    session.client = client;
    const forget = () => {
      if (session.client === client) session.client = undefined;
    };
    client.then(({ closed }) => closed.then(forget), forget);
    return client;
  }
}

function foreignSender(): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'sender-foreign',
    message: 'The request does not come from the window of this app',
  });
}

function tooMuch(): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'too-many-calls',
    message: `More than ${MAX_UNDER_WAY} calls of this window are under way`,
    remedy: 'Wait until some of them have ended',
  });
}
