/** The channels between page and main process, apart from the schema because a preload script loads no libraries. */

/** Requests with an answer (`invoke`): a call of the contract; something that only a desktop can do. */
export const CALL = 'sojourn:call';
export const SHELL = 'sojourn:shell';
/** One-way: begin and end of a stream, and its events. */
export const SUBSCRIBE = 'sojourn:subscribe';
export const UNSUBSCRIBE = 'sojourn:unsubscribe';
export const EVENT = 'sojourn:event';
