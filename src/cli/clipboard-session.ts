/** A guest's clipboard, as a viewer of its screen has a part in it that looks at no picture (`api/screen.ts`). */
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import {
  clipboardMessage,
  deflatedText,
  fitsClipboard,
  ofConnection,
  ScreenFrames,
  type ScreenNote,
} from '../api/index.ts';
import { fromWireError, SojournError } from '../common/index.ts';

/** Version, security type None, shared (RFC 6143, 7.1 to 7.3): said without waiting, as all servers of ours offer them. */
const HANDSHAKE = Buffer.from('RFB 003.008\n\x01\x01', 'latin1');
/** What runs in a guest that takes part says so at once, ms. */
const READY_MS = 5_000;
/** Where the guest has just arrived it may have other things to do first, ms. */
const READY_AGAIN_MS = 60_000;
/** A guest that moves is somewhere else soon: so often it is looked for, after so many ms each. */
const TRIES = 40;
const RETRY_MS = 250;

export interface ClipboardWhere {
  /** `screen.sock` of the agent. */
  readonly socketPath: string;
  readonly guest: string;
}

/** @throws SojournError `no-clipboard`, `clipboard-absent`, and as `Screens.open` */
export async function readClipboard(where: ClipboardWhere): Promise<string> {
  let text = '';
  return join(where, {
    ready: (socket) => {
      text = '';
      socket.write(clipboardMessage({ kind: 'request' }));
    },
    heard: async (note) => {
      if (note.kind !== 'text') return undefined;
      text += note.piece;
      return note.more ? undefined : text;
    },
  });
}

/**
 * `offered`: the guest can have it now; again after each handoff.
 * Resolves when something else was copied in the guest. @throws SojournError `text-too-long`, and as `readClipboard`
 */
export async function offerClipboard(
  where: ClipboardWhere,
  text: string,
  offered: () => void = () => undefined,
): Promise<void> {
  if (!fitsClipboard(text)) throw tooLong();
  const deflated = await deflatedText(text);
  const ready = (socket: Socket) => {
    socket.write(clipboardMessage({ kind: 'notify', has: true }));
    offered();
  };
  const heard = async (note: ScreenNote, socket: Socket) => {
    if (note.kind === 'wanted') socket.write(clipboardMessage({ kind: 'provide', deflated }));
    return note.kind === 'copied' ? true : undefined;
  };
  await join(where, { ready, heard });
}

interface Part<Result> {
  /** The guest takes part; again after each handoff. */
  readonly ready: (socket: Socket) => void;
  readonly heard: (note: ScreenNote, socket: Socket) => Promise<Result | undefined>;
}

async function join<Result>(
  { socketPath, guest }: ClipboardWhere,
  part: Part<Result>,
): Promise<Result> {
  let hasJoined = false;
  for (let tries = 0; ; tries++) {
    const socket = connect(socketPath);
    const absent = setTimeout(
      () => socket.destroy(clipboardAbsent(guest)),
      hasJoined ? READY_AGAIN_MS : READY_MS,
    );
    socket.write(`${JSON.stringify({ guest })}\n`);
    socket.write(HANDSHAKE);
    socket.write(clipboardMessage({ kind: 'peek' }));
    try {
      for await (const note of notesOf(socket)) {
        if (note.kind === 'open' && !note.clipboard) throw noClipboard(guest);
        if (note.kind === 'over' && note.error !== null && !(hasJoined && tries < TRIES))
          throw fromWireError(note.error);
        if (note.kind === 'clipboard' && note.ready) {
          clearTimeout(absent);
          [hasJoined, tries] = [true, 0];
          part.ready(socket);
        }
        const result = await part.heard(note, socket);
        if (result !== undefined) return result;
      }
    } catch (error) {
      throw error instanceof SojournError || !isErrno(error)
        ? error
        : ofConnection(socketPath, error);
    } finally {
      clearTimeout(absent);
      socket.destroy();
    }
    await delay(RETRY_MS);
  }
}

async function* notesOf(socket: Socket): AsyncGenerator<ScreenNote> {
  const frames = new ScreenFrames();
  for await (const chunk of socket)
    for (const frame of frames.push(chunk)) if (frame.kind === 'note') yield frame.note;
}

function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

function clipboardAbsent(guest: string): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'clipboard-absent',
    message: `Nothing in ${guest} takes part in a clipboard`,
    remedy: 'Install spice-vdagent in the guest, and log in on its screen',
  });
}

function noClipboard(guest: string): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'no-clipboard',
    message: `${guest} was created without a clipboard`,
    remedy: 'Create a guest with --display vga; older guests have none',
  });
}

function tooLong(): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'text-too-long',
    message: 'The text is longer than 512 KiB',
    remedy: 'Copy it in parts, or over the network of the guest',
  });
}
