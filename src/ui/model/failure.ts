import type { WireError } from '../../api/schema.ts';

/** Whatever a call rejected with, as what can be shown. A transport rejects with plain `WireError`s. */
export function failureOf(thrown: unknown): WireError {
  if (isWireError(thrown)) return thrown;
  return {
    kind: 'internal',
    code: 'internal',
    message: thrown instanceof Error ? thrown.message : String(thrown),
  };
}

function isWireError(thrown: unknown): thrown is WireError {
  if (typeof thrown !== 'object' || thrown === null) return false;
  const { kind, code, message } = thrown as Partial<WireError>;
  return [kind, code, message].every((field) => typeof field === 'string');
}
