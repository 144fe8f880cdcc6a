/** What spice-vdagent is to its port, as far as text goes: it copies and pastes as a person in the guest does. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { encodeMessage, VdMessages } from '../../../src/guest/vdagent/codec.ts';
import {
  CAPABILITY,
  CLIPBOARD,
  FORMAT,
  type VdMessage,
} from '../../../src/guest/vdagent/protocol.ts';

const SELECTION = { selection: CLIPBOARD };

export class FakeAgent {
  readonly #server: Server;
  #socket: Socket | undefined;
  #own: string | undefined;
  /** The other side has offered a text. */
  #offered = false;
  #pasting: PromiseWithResolvers<string> | undefined;
  readonly heard: VdMessage[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#begin(socket));
  }

  static async listen(path: string): Promise<FakeAgent> {
    const server = createServer();
    const agent = new FakeAgent(server);
    server.listen(path);
    await once(server, 'listening');
    return agent;
  }

  copy(text: string): void {
    [this.#own, this.#offered] = [text, false];
    this.#send({ kind: 'grab', ...SELECTION, formats: [FORMAT.utf8Text] });
  }

  async paste(): Promise<string> {
    if (!this.#offered) return this.#own ?? '';
    this.#pasting = Promise.withResolvers();
    this.#send({ kind: 'request', ...SELECTION, format: FORMAT.utf8Text });
    return this.#pasting.promise;
  }

  /** Whatever it likes. */
  say(bytes: Buffer): void {
    this.#socket?.write(bytes);
  }

  async close(): Promise<void> {
    this.#socket?.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #begin(socket: Socket): void {
    this.#socket = socket;
    [this.#own, this.#offered] = [undefined, false];
    const messages = new VdMessages();
    messages.selections = true;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      for (const message of messages.push(chunk as Buffer)) this.#hear(message);
    });
    const { clipboardByDemand, clipboardSelection, maxClipboard } = CAPABILITY;
    const capabilities = new Set([clipboardByDemand, clipboardSelection, maxClipboard]);
    this.#send({ kind: 'capabilities', request: true, capabilities });
  }

  #hear(message: VdMessage): void {
    this.heard.push(message);
    if (message.kind === 'grab') this.#offered = true;
    if (message.kind === 'release') this.#offered = false;
    if (message.kind === 'request')
      this.#send({
        ...{ kind: 'clipboard', ...SELECTION, format: FORMAT.utf8Text },
        data: Buffer.from(this.#own ?? ''),
      });
    if (message.kind === 'clipboard') this.#pasting?.resolve(Buffer.from(message.data).toString());
  }

  #send(message: VdMessage): void {
    this.#socket?.write(encodeMessage(message, true));
  }
}
