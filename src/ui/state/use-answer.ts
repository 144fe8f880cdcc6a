import { useCallback, useEffect, useState } from 'preact/hooks';
import type { CallInput, CallName, CallOutput, WireError } from '../../api/schema.ts';
import { failureOf } from '../model/failure.ts';
import { useApp } from './context.ts';

export type Answer<T> =
  | { readonly kind: 'loading' }
  | { readonly kind: 'error'; readonly error: WireError }
  | { readonly kind: 'ok'; readonly value: T };

/**
 * Asks the agent when a view begins to show, and anew when `version` changes or the second result is called; an answer
 * that comes after a newer question is dropped.
 */
export function useAnswer<Name extends CallName>(
  method: Name,
  params: CallInput<Name>,
  version: unknown = undefined,
): [Answer<CallOutput<Name>>, (params?: CallInput<Name>) => void] {
  const { transport } = useApp();
  const [question, setQuestion] = useState({ params });
  const [answer, setAnswer] = useState<Answer<CallOutput<Name>>>({ kind: 'loading' });
  useEffect(() => {
    let current = true;
    transport.call(method, question.params).then(
      (value) => current && setAnswer({ kind: 'ok', value }),
      (thrown: unknown) => current && setAnswer({ kind: 'error', error: failureOf(thrown) }),
    );
    return () => {
      current = false;
    };
  }, [transport, method, question, version]);
  const again = useCallback((next?: CallInput<Name>) => {
    setAnswer({ kind: 'loading' });
    setQuestion((before) => ({ params: next ?? before.params }));
  }, []);
  return [answer, again];
}
