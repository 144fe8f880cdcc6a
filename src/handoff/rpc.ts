/** The typed calls of `messages.ts` over a session. */
import { typedCalls } from '../transport/index.ts';
import { messages } from './messages.ts';

export const { call, handle } = typedCalls(messages);
