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

export function typedCalls<Table extends CallTable>(table: Table): TypedCalls<Table> {
  const schemas = (method: keyof Table) => table[method] as Table[keyof Table];
  const calls = {
    async call(session: CallingSession, method: string, params: unknown, options: CallTimes) {
      const answer = await session.call(method, params, options);
      return check(schemas(method).result, answer, method);
    },
    handle(session: CallingSession, method: string, handler: Handler) {
      session.handle(method, async (raw, context) =>
        handler(check(schemas(method).params, raw, method), context),
      );
    },
  };
  return calls as TypedCalls<Table>;
}

type CallTimes = Parameters<CallingSession['call']>[2];
type Handler = (params: unknown, context: { readonly signal: AbortSignal }) => Promise<unknown>;

function check(schema: z.ZodType, value: unknown, method: string): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new SojournError({
    kind: 'refused',
    code: 'peer-misbehaves',
    message: `The other place sent a ${method} that is not understood: ${issue?.path.join('.')} ${issue?.message}`,
    remedy: 'Use the same version of Sojourn at both places',
    cause: parsed.error,
  });
}
