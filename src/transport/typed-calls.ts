/** Calls between places with a schema for what goes each way; derived from one table of messages. */
import type { z } from 'zod';
import { SojournError } from '../common/index.ts';

export interface CallTable {
  readonly [method: string]: { readonly params: z.ZodType; readonly result: z.ZodType };
}

/** What of a session the calls need. */
export interface CallingSession {
  call(
    method: string,
    params: unknown,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<unknown>;
  handle(
    method: string,
    handler: (params: unknown, context: { readonly signal: AbortSignal }) => unknown,
  ): unknown;
}

export interface TypedCalls<Table extends CallTable> {
  /** Throws what the session throws, and `peer-misbehaves` for an answer that is not of the schema. */
  call<Method extends keyof Table & string>(
    session: CallingSession,
    method: Method,
    params: z.input<Table[Method]['params']>,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<z.output<Table[Method]['result']>>;
  handle<Method extends keyof Table & string>(
    session: CallingSession,
    method: Method,
    handler: (
      params: z.output<Table[Method]['params']>,
      context: { readonly signal: AbortSignal },
    ) => Promise<z.input<Table[Method]['result']>>,
  ): void;
}

export function typedCalls<const Table extends CallTable>(table: Table): TypedCalls<Table> {
  return {
    async call(session, method, params, options) {
      const answer = await session.call(method, params, options);
      return check(table[method].result, answer, method);
    },
    handle(session, method, handler) {
      session.handle(method, async (raw, context) =>
        handler(check(table[method].params, raw, method), context),
      );
    },
  };
}

function check<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  method: string,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new SojournError({
    kind: 'refused',
    code: 'peer-misbehaves',
    message: `the other place sent a ${method} that is not understood: ${issue?.path.join('.')} ${issue?.message}`,
    remedy: 'Use the same version of Sojourn at both places',
    cause: parsed.error,
  });
}
