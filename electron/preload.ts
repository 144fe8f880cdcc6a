/**
 * The only code with a foot on both sides: exposes `window.sojourn` (`src/ui/transport.ts`). It runs sandboxed in the
 * page's process, so what it sends is checked again in the main process (`ipc/bridge.ts`).
 */
import { contextBridge, ipcRenderer } from 'electron';
import type { ScreenEvent, StreamEvent } from '../src/ui/index.ts';
import {
  CALL,
  EVENT,
  SCREEN_CLOSE,
  SCREEN_EVENT,
  SCREEN_INPUT,
  SCREEN_OPEN,
  SCREEN_TAKEN,
  SHELL,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from './ipc/channels.ts';
import type { Answer, ShellMessage } from './ipc/schema.ts';

type Listener = (event: StreamEvent<never>) => void;

const listeners = new Map<number, Listener>();
let lastId = 0;

ipcRenderer.on(EVENT, (_event, { id, event }: { id: number; event: StreamEvent<never> }) => {
  const listener = listeners.get(id);
  if (event.kind !== 'item') listeners.delete(id);
  listener?.(event);
});

const screens = new Map<number, (event: ScreenEvent) => void>();

ipcRenderer.on(SCREEN_EVENT, (_event, { id, event }: { id: number; event: ScreenEvent }) => {
  const listener = screens.get(id);
  if (event.kind === 'closed') screens.delete(id);
  listener?.(event);
  if (event.kind === 'picture') ipcRenderer.send(SCREEN_TAKEN, { id, bytes: event.bytes.length });
});

async function ask(channel: string, message: unknown): Promise<unknown> {
  const answer: Answer = await ipcRenderer.invoke(channel, message);
  if (answer.ok) return answer.result;
  throw answer.error;
}

const shell = (message: ShellMessage) => ask(SHELL, message);

contextBridge.exposeInMainWorld('sojourn', {
  call: (method: string, params: unknown) => ask(CALL, { method, params }),
  subscribe: (method: string, params: unknown, onEvent: Listener) => {
    const id = ++lastId;
    listeners.set(id, onEvent);
    ipcRenderer.send(SUBSCRIBE, { id, method, params });
    return () => {
      if (listeners.delete(id)) ipcRenderer.send(UNSUBSCRIBE, { id });
    };
  },
  screen: (guest: string, onEvent: (event: ScreenEvent) => void) => {
    const id = ++lastId;
    screens.set(id, onEvent);
    ipcRenderer.send(SCREEN_OPEN, { id, guest });
    return {
      send: (bytes: Uint8Array) => ipcRenderer.send(SCREEN_INPUT, { id, bytes }),
      close: () => {
        if (screens.delete(id)) ipcRenderer.send(SCREEN_CLOSE, { id });
      },
    };
  },
  shell: {
    pickPath: () => shell({ do: 'pick-path' }),
    readClipboard: () => shell({ do: 'read-clipboard' }),
    openScreen: (guest: string) => shell({ do: 'open-screen', guest }),
  },
});
