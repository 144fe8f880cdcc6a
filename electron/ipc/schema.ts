/**
 * What crosses between the page and the main process: the agent's contract (`src/api`) in these envelopes, and nothing
 * else. The preload script sends them; the main process checks each one, since the page may be hostile.
 */
import { z } from 'zod';

/** Parameters of one call as JSON, characters; the agent takes lines of 1 MiB. */
export const MAX_PARAMETERS = 256 << 10;
/** Calls and streams under way of one window. The agent has room for 16 on a connection. */
export const MAX_UNDER_WAY = 16;

const method = z.string().max(64);

export const callMessage = z.strictObject({ method, params: z.unknown() });
export const streamId = z.int().min(1);
export const subscribeMessage = z.strictObject({ id: streamId, method, params: z.unknown() });
export const unsubscribeMessage = z.strictObject({ id: streamId });
export const shellMessage = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('pick-path') }),
  z.strictObject({ do: z.literal('open-screen'), guest: z.uuid() }),
  z.strictObject({ do: z.literal('read-clipboard') }),
]);

/** Input of one message, bytes. */
const MAX_INPUT = 1 << 20;
/** Screens open at the same time in one window. */
export const MAX_SCREENS = 8;

export const screenOpenMessage = z.strictObject({ id: streamId, guest: z.uuid() });
export const screenInputMessage = z.strictObject({
  id: streamId,
  bytes: z.instanceof(Uint8Array).refine(({ length }) => length <= MAX_INPUT),
});
/** Of pictures, since it was said last, bytes. */
export const screenTakenMessage = z.strictObject({ id: streamId, bytes: z.int().nonnegative() });
export const screenCloseMessage = z.strictObject({ id: streamId });

export type ShellMessage = z.infer<typeof shellMessage>;
/** How an answer crosses, because an `Error` that is thrown over IPC loses its fields. */
export type Answer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: unknown };
