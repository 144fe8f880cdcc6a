/**
 * What a person types and points while the screen of a guest may change its place: each input reaches the guest once,
 * in order, or not at all. An input is one RFB message, which means the same on any connection to the same guest.
 *
 *   typed ──► waiting ──sent──► underway ──taken──► (the guest has it)
 *                ▲                  │
 *                └──────lost────────┘   what the last connection is known not to have delivered
 */

// Past its index: the schemas stay where `no-code-from-text.ts` comes before them.
import { keyOf, pressed } from '../../api/rfb-keys.ts';

/** Inputs that wait; what comes above it is not taken. */
export const MAX_WAITING = 1024;
const POINTER = 5;

export interface InputLog {
  readonly waiting: readonly Uint8Array[];
  /** `end`: how many bytes the connection had been sent with it. */
  readonly underway: readonly { readonly input: Uint8Array; readonly end: number }[];
  /** Presses of modifiers that the guest has had without their releases, by key. */
  readonly down: ReadonlyMap<string, Uint8Array>;
  /** Inputs that found no room since the last time that there was some. */
  readonly refused: number;
}

export const noInput: InputLog = {
  waiting: [],
  underway: [],
  down: new Map(),
  refused: 0,
};

/** Of pointer positions that wait one after the other, with the same buttons, only the last one counts. */
export function typed(log: InputLog, input: Uint8Array): InputLog {
  const last = log.waiting.at(-1);
  if (last !== undefined && isSamePointer(last, input))
    return { ...log, waiting: [...log.waiting.slice(0, -1), input] };
  if (log.waiting.length >= MAX_WAITING) return { ...log, refused: log.refused + 1 };
  return { ...log, waiting: [...log.waiting, input] };
}

/** All that waits goes out on a connection that has been sent `offset` bytes before. */
export function sent(log: InputLog, offset: number): InputLog {
  let end = offset;
  const out = log.waiting.map((input) => {
    end += input.length;
    return { input, end };
  });
  return { ...log, waiting: [], underway: [...log.underway, ...out], refused: 0 };
}

/** The guest's display has had so many bytes of the connection. */
export function taken(log: InputLog, bytes: number): InputLog {
  const had = log.underway.filter(({ end }) => end <= bytes);
  const down = had.reduce((keys, { input }) => pressed(keys, input), log.down);
  return { ...log, down, underway: log.underway.filter(({ end }) => end > bytes) };
}

/**
 * The connection has ended. `bytes`: how many of it the guest's display has had; undefined when nobody can say, and then
 * what was under way is given up, because a key pressed twice is worse than one pressed again by hand.
 */
export function lost(log: InputLog, bytes: number | undefined): InputLog {
  const known = bytes === undefined ? noInput : taken(log, bytes);
  // Other keys are let go of when the guest leaves; pressed again they would count twice.
  const modifiers = [...known.down.values()].filter((press) => keyOf(press)?.isModifier);
  const left = known.underway.map(({ input }) => input);
  const waiting = [...modifiers, ...left, ...log.waiting].slice(0, MAX_WAITING);
  return { ...log, underway: [], down: new Map(), waiting };
}

function isSamePointer(one: Uint8Array, other: Uint8Array): boolean {
  return one[0] === POINTER && other[0] === POINTER && one[1] === other[1];
}
