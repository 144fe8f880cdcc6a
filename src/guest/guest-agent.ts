/**
 * The QEMU guest agent, where the guest has one (docs/interop/qemu-ga.rst): JSON lines without a greeting. It runs in
 * the guest, so all it says is checked, capped and given a deadline, and nothing depends on it.
 */
import { randomInt } from 'node:crypto';
import { createConnection } from 'node:net';
import { z } from 'zod';
import { LineStream, QmpClosedError, QmpProtocolError, QmpTimeoutError } from './qmp/index.ts';

/** Largest line taken from a guest, bytes. */
const MAX_LINE_BYTES = 64 * 1024;
/** Lines taken from a guest that nobody has asked for yet. */
const MAX_UNREAD_LINES = 16;
const DEFAULT_TIMEOUT_MS = 1_000;
/** The agent drops what came before this byte, and sends it ahead of its answer. */
const SYNC_BYTE = '\xff';
/** A guest this far behind is set forward: after a pause it is behind by the pause. */
const BEHIND_MS = 20;
/** A guest this far ahead is set back; less is left to its own time service, as clocks should not step back. */
const AHEAD_MS = 5_000;
const NS_PER_MS = 1_000_000;

const answerSchema = z.union([
  z.object({ return: z.unknown() }),
  z.object({ error: z.object({ desc: z.string() }) }),
]);

export interface ClockOptions {
  /** For everything together, milliseconds. */
  readonly timeoutMs?: number;
  /** The host's clock, milliseconds since 1970. */
  readonly now?: () => number;
}

export type ClockResult =
  | { readonly outcome: 'set' | 'unchanged'; readonly offsetMs: number }
  /** No agent in the guest, or it did not answer in time. */
  | { readonly outcome: 'no-agent'; readonly reason: string };

/** Sets the guest's clock by the host's if it is off by more than a pause explains. Never throws for a guest's faults. */
export async function correctClock(
  socketPath: string,
  options: ClockOptions = {},
): Promise<ClockResult> {
  const now = options.now ?? Date.now;
  try {
    return await withGuestAgent(
      socketPath,
      options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      async (ask) => {
        const askedAt = now();
        const guestNs = z.number().parse(await ask('guest-get-time'));
        const answeredAt = now();
        const offsetMs = guestNs / NS_PER_MS - (askedAt + answeredAt) / 2;
        const uncertainMs = (answeredAt - askedAt) / 2;
        if (!needsCorrection(offsetMs, uncertainMs)) return { outcome: 'unchanged', offsetMs };
        // As text: nanoseconds since 1970 are beyond what a double holds exactly.
        await ask('guest-set-time', `{"time":${Math.round(now())}000000}`);
        return { outcome: 'set', offsetMs };
      },
    );
  } catch (error) {
    return { outcome: 'no-agent', reason: (error as Error).message };
  }
}

/** `offsetMs`: guest minus host. */
export function needsCorrection(offsetMs: number, uncertainMs: number): boolean {
  return offsetMs < -(BEHIND_MS + uncertainMs) || offsetMs > AHEAD_MS + uncertainMs;
}

type Ask = (command: string, argumentsText?: string) => Promise<unknown>;

/** Connects, synchronises, runs `use`, lets go. Throws QmpTimeoutError, QmpClosedError, QmpProtocolError, Error. */
async function withGuestAgent<Result>(
  socketPath: string,
  timeoutMs: number,
  use: (ask: Ask) => Promise<Result>,
): Promise<Result> {
  const inbox = new Inbox();
  const lines = new LineStream(createConnection({ path: socketPath }), MAX_LINE_BYTES, {
    line: (line) => inbox.put(line.toString('latin1')),
    closed: (error) => inbox.end(error ?? new QmpClosedError('the guest agent’s channel ended')),
  });
  const timer = setTimeout(
    () => lines.destroy(new QmpTimeoutError('guest agent', timeoutMs)),
    timeoutMs,
  );
  const send = (command: string, argumentsText: string | undefined) => {
    const args = argumentsText === undefined ? '' : `,"arguments":${argumentsText}`;
    lines.send(`{"execute":"${command}"${args}}`);
  };
  try {
    const id = randomInt(2 ** 31);
    lines.sendRaw(SYNC_BYTE);
    send('guest-sync-delimited', `{"id":${id}}`);
    while (!isSyncAnswer(await inbox.take(), id));
    return await use(async (command, argumentsText) => {
      send(command, argumentsText);
      return answerOf(command, await inbox.take());
    });
  } finally {
    clearTimeout(timer);
    lines.destroy();
  }
}

/** Lines that have come but have not been asked for yet. */
class Inbox {
  #lines: string[] = [];
  #error: Error | undefined;
  #changed: () => void = () => undefined;

  put(line: string): void {
    // A guest that talks without being asked loses its oldest lines.
    if (this.#lines.length >= MAX_UNREAD_LINES) this.#lines.shift();
    this.#lines.push(line);
    this.#changed();
  }

  end(error: Error): void {
    this.#error = error;
    this.#changed();
  }

  async take(): Promise<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

/** Before it come answers to a client before us, whole or in part; they are worth nothing, whatever they are. */
function isSyncAnswer(line: string, id: number): boolean {
  const text = line.slice(line.lastIndexOf(SYNC_BYTE) + 1);
  return new RegExp(`^\\{"return": ?${id}\\}$`).test(text);
}

function answerOf(command: string, line: string): unknown {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(line, 'latin1').toString('utf8'));
  } catch {
    throw new QmpProtocolError('the guest agent sent a line that is not JSON');
  }
  const answer = answerSchema.parse(json);
  if ('error' in answer)
    throw new Error(`the guest agent refused ${command}: ${answer.error.desc}`);
  return answer.return;
}
