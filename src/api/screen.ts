/**
 * The stream of a guest's screen, from wherever the guest runs to whoever looks at it.
 *
 *   viewer -> agent   RFB as a client speaks it (RFC 6143, 7.1 to 7.5), and clipboard messages (`rfb-clipboard.ts`)
 *   agent -> viewer   pictures: RFB as the guest's display speaks it; and between them notes, which are below
 *
 * On a byte stream (`screen.sock`, a session between places) what goes to the viewer is in frames: u8 kind (1 picture,
 * 2 note), u32 length (big endian), payload. A WebSocket has messages of its own: binary and text.
 *
 * A stream is one connection to one display. When the guest moves it ends with `over`, which says how much of what
 * the viewer sent has reached the guest: the viewer opens another one and sends the input again that has not.
 *
 * Text of a clipboard crosses when it is asked for: `wanted` asks the viewer for what it offers, and the viewer asks for
 * what the guest has `copied`. Of clipboards nothing is said to a viewer that has not taken part.
 */
import { z } from 'zod';
// Not through the folder's index: this file runs in browsers too.
import { wireError } from '../common/wire-error.ts';
import { placeRef } from './views/index.ts';

/** Longest payload of one frame, bytes. */
export const MAX_SCREEN_FRAME = 64 << 10;

/** Of a text, UTF-16 units: escaped and in UTF-8 still less than a frame. */
export const MAX_TEXT_PIECE = 8 << 10;

const bytes = z.int().nonnegative();

export const screenNote = z.discriminatedUnion('kind', [
  /** First, once: RFB follows. */
  z.object({
    kind: z.literal('open'),
    place: placeRef,
    /** The guest has a port for its clipboard. */
    clipboard: z.boolean().default(false),
  }),
  /** So many of the viewer's bytes have gone to the guest's display. */
  z.object({ kind: z.literal('taken'), bytes }),
  /** The guest is just leaving: what is sent now waits. */
  z.object({ kind: z.literal('held') }),
  /** It has stayed, and has got what waited. */
  z.object({ kind: z.literal('going-on') }),
  /** Whether the guest's system takes part in a clipboard; `problem`: what it has done wrong. */
  z.object({
    kind: z.literal('clipboard'),
    ready: z.boolean(),
    problem: z.string().max(200).nullable(),
  }),
  /** The guest has new text, which can be requested. */
  z.object({ kind: z.literal('copied') }),
  /** The guest asks for the text that this viewer has offered. */
  z.object({ kind: z.literal('wanted') }),
  /** A piece of the text that was requested; empty where there is none. */
  z.object({ kind: z.literal('text'), piece: z.string().max(MAX_TEXT_PIECE), more: z.boolean() }),
  /** Last. `to`: where the guest has gone. */
  z.object({
    kind: z.literal('over'),
    bytes,
    to: placeRef.nullable(),
    error: wireError.nullable(),
  }),
]);
export type ScreenNote = z.output<typeof screenNote>;
