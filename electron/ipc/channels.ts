/** The channels between page and main process, apart from the schema because a preload script loads no libraries. */

/** Requests with an answer (`invoke`): a call of the contract; something that only a desktop can do. */
export const CALL = 'sojourn:call';
export const SHELL = 'sojourn:shell';
/** One-way: a guest's screen opened, its input, how much of its pictures was taken, its end; and what comes of it. */
export const SCREEN_OPEN = 'sojourn:screen-open';
export const SCREEN_INPUT = 'sojourn:screen-input';
export const SCREEN_TAKEN = 'sojourn:screen-taken';
export const SCREEN_CLOSE = 'sojourn:screen-close';
export const SCREEN_EVENT = 'sojourn:screen-event';
/** One-way: begin and end of a stream, and its events. */
export const SUBSCRIBE = 'sojourn:subscribe';
export const UNSUBSCRIBE = 'sojourn:unsubscribe';
export const EVENT = 'sojourn:event';
