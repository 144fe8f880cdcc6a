/** The typed calls of `messages.ts` over a session. */
import type { z } from 'zod';
import { SojournError } from '../common/index.ts';
import { type HandoffMethod, messages, type Params, type Result } from './messages.ts';
import type { SessionPort } from './ports.ts';

/** Throws what the session throws, and `peer-misbehaves` for an answer that is not of the schema. */
export async function call<M extends HandoffMethod>(
  session: SessionPort,
  method: M,
  params: Params<M>,
  options: { timeoutMs: number; signal?: AbortSignal },
): Promise<Result<M>> {
  const answer = await session.call(method, params, options);
  return parse(messages[method].result, answer, method) as Result<M>;
}

export function handle<M extends HandoffMethod>(
  session: SessionPort,
  method: M,
  handler: (params: Params<M>) => Promise<Result<M>>,
): void {
  session.handle(method, async (raw) =>
    handler(parse(messages[method].params, raw, method) as Params<M>),
  );
}

function parse(schema: z.ZodType, value: unknown, method: string): unknown {
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
