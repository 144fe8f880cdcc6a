import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Messages } from '../messages/index.ts';
import {
  formatBitRate,
  formatByteRate,
  formatBytes,
  formatDuration,
  formatTime,
} from '../model/format.ts';
import type { App } from './app.ts';

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error('a view is shown outside of the app');
  return app;
}

export function useMessages(): Messages {
  return useApp().messages.value;
}

export interface Formats {
  bytes(bytes: number): string;
  byteRate(bytesPerSecond: number): string;
  bitRate(bitsPerSecond: number): string;
  duration(ms: number): string;
  /** `0.4 s` rather than `400 ms`: for times that people wait. */
  wait(ms: number): string;
  time(iso: string): string;
  /** The time of day with seconds, of milliseconds since the Unix epoch. */
  clock(atMs: number): string;
}

export function useFormats(): Formats {
  const language = useApp().language.value;
  return {
    bytes: (bytes) => formatBytes(bytes, language),
    byteRate: (rate) => formatByteRate(rate, language),
    bitRate: (rate) => formatBitRate(rate, language),
    duration: (ms) => formatDuration(ms, language),
    wait: (ms) => formatDuration(ms, language, true),
    clock: (atMs) =>
      new Intl.DateTimeFormat(language, { timeStyle: 'medium' }).format(new Date(atMs)),
    time: (iso) => formatTime(iso, language, Date.now()),
  };
}
