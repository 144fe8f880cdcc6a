/** Joins a page to screens of guests: each is a connection of its own to the agent's `screen.sock`. */
import { connect, type Socket } from 'node:net';
import { type IpcMainEvent, ipcMain, type WebContents } from 'electron';
import { ScreenFrames } from '../../src/api/index.ts';
import { errorText, toWireError } from '../../src/common/index.ts';
import type { ScreenEvent } from '../../src/ui/index.ts';
import { SCREEN_CLOSE, SCREEN_EVENT, SCREEN_INPUT, SCREEN_OPEN, SCREEN_TAKEN } from './channels.ts';
import {
  MAX_SCREENS,
  screenCloseMessage,
  screenInputMessage,
  screenOpenMessage,
  screenTakenMessage,
} from './schema.ts';

/** Pictures that a page has not taken yet; nothing more is read above it, bytes. */
const MAX_UNTAKEN = 2 << 20;
/** Input that the agent has not taken yet; a page that sends more than that is cut off, bytes. */
const MAX_UNSENT = 2 << 20;

export interface ScreenBridgeOptions {
  readonly socketPath: string;
  readonly isTrusted: (event: IpcMainEvent) => boolean;
  readonly refused: (why: string) => void;
}

interface Screen {
  readonly socket: Socket;
  untaken: number;
}

export class ScreenBridge {
  readonly #options: ScreenBridgeOptions;
  readonly #pages = new Map<WebContents, Map<number, Screen>>();

  constructor(options: ScreenBridgeOptions) {
    this.#options = options;
    this.#on(SCREEN_OPEN, (sender, message) => this.#open(sender, message));
    this.#on(SCREEN_INPUT, (sender, message) => {
      const { id, bytes } = screenInputMessage.parse(message);
      const screen = this.#screen(sender, id);
      if (screen === undefined) return;
      screen.socket.write(bytes);
      if (screen.socket.writableLength > MAX_UNSENT) screen.socket.destroy();
    });
    this.#on(SCREEN_TAKEN, (sender, message) => {
      const { id, bytes } = screenTakenMessage.parse(message);
      const screen = this.#screen(sender, id);
      if (screen === undefined) return;
      screen.untaken = Math.max(0, screen.untaken - bytes);
      if (screen.untaken <= MAX_UNTAKEN) screen.socket.resume();
    });
    this.#on(SCREEN_CLOSE, (sender, message) => {
      this.#screen(sender, screenCloseMessage.parse(message).id)?.socket.destroy();
    });
  }

  /** Of at least one guest. */
  shownBy(page: WebContents): boolean {
    return (this.#pages.get(page)?.size ?? 0) > 0;
  }

  #on(channel: string, act: (sender: WebContents, message: unknown) => void): void {
    ipcMain.on(channel, (event, message) => {
      if (!this.#options.isTrusted(event)) return;
      try {
        act(event.sender, message);
      } catch (error) {
        this.#options.refused(`a message about a screen: ${errorText(error)}`);
      }
    });
  }

  #screen(sender: WebContents, id: number): Screen | undefined {
    return this.#pages.get(sender)?.get(id);
  }

  #open(sender: WebContents, message: unknown): void {
    const { id, guest } = screenOpenMessage.parse(message);
    const screens = this.#screensOf(sender);
    if (screens.has(id) || screens.size >= MAX_SCREENS) throw new Error('too many screens');
    const tell = (event: ScreenEvent) => {
      if (!sender.isDestroyed() && screens.get(id) === screen)
        sender.send(SCREEN_EVENT, { id, event });
    };
    const socket = connect(this.#options.socketPath);
    const screen: Screen = { socket, untaken: 0 };
    screens.set(id, screen);
    const frames = new ScreenFrames();
    let failure: Error | undefined;
    socket.write(`${JSON.stringify({ guest })}\n`);
    socket.on('data', (chunk) => {
      try {
        for (const frame of frames.push(chunk as Buffer)) {
          tell(frame);
          if (frame.kind === 'picture') screen.untaken += frame.bytes.length;
        }
      } catch (error) {
        socket.destroy(error as Error);
      }
      if (screen.untaken > MAX_UNTAKEN) socket.pause();
    });
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      tell({ kind: 'closed', error: failure === undefined ? null : toWireError(failure) });
      screens.delete(id);
    });
  }

  #screensOf(sender: WebContents): Map<number, Screen> {
    const known = this.#pages.get(sender);
    if (known !== undefined) return known;
    const screens = new Map<number, Screen>();
    this.#pages.set(sender, screens);
    const end = () => {
      for (const { socket } of screens.values()) socket.destroy();
      screens.clear();
    };
    // A page that is loaded again knows nothing of what the last one began.
    sender.on('did-start-navigation', ({ isMainFrame, isSameDocument }) => {
      if (isMainFrame && !isSameDocument) end();
    });
    sender.once('destroyed', () => {
      this.#pages.delete(sender);
      end();
    });
    return screens;
  }
}
