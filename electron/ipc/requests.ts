/** Turns what a page sent into a call of the contract, or says what is wrong with it. */
import type { CallInput, CallName, StreamName } from '../../src/api/schema.ts';
import { contract, isCallName } from '../../src/api/schema.ts';
import { SojournError } from '../../src/common/index.ts';
import { callMessage, MAX_PARAMETERS, subscribeMessage } from './schema.ts';

export interface CallRequest {
  readonly method: CallName;
  readonly params: CallInput<CallName>;
}

export interface StreamRequest {
  readonly id: number;
  readonly method: StreamName;
  readonly params: CallInput<StreamName>;
}

/** @throws SojournError `request-malformed`, `call-unknown` */
export function readCall(message: unknown): CallRequest {
  const envelope = callMessage.safeParse(message);
  if (!envelope.success) throw malformed('it is no call', envelope.error);
  const { method, params } = envelope.data;
  return { method: knownCall(method), params: readParameters(knownCall(method), params) };
}

/** @throws SojournError as `readCall`, also for a call without items */
export function readSubscription(message: unknown): StreamRequest {
  const envelope = subscribeMessage.safeParse(message);
  if (!envelope.success) throw malformed('it is no subscription', envelope.error);
  const { id, method, params } = envelope.data;
  const name = knownCall(method);
  if (!isStream(name)) throw malformed(`${name} has no items`);
  return { id, method: name, params: readParameters(name, params) };
}

function knownCall(method: string): CallName {
  if (isCallName(method)) return method;
  throw new SojournError({
    kind: 'usage',
    code: 'call-unknown',
    message: `There is no call ${JSON.stringify(method)}`,
    remedy: 'Use an app and a window of the same version',
  });
}

function isStream(name: CallName): name is StreamName {
  return 'item' in contract[name];
}

function readParameters<Name extends CallName>(method: Name, params: unknown): CallInput<Name> {
  const parsed = contract[method].input.safeParse(params);
  if (!parsed.success) throw malformed(`the parameters of ${method}`, parsed.error);
  if (JSON.stringify(parsed.data).length > MAX_PARAMETERS)
    throw malformed(`the parameters of ${method} are too long`);
  return params as CallInput<Name>;
}

function malformed(what: string, cause?: Error): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'request-malformed',
    message: `A request of the window was refused: ${what}`,
    cause,
  });
}
