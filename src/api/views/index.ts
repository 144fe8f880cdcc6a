/**
 * What the agent tells about guests, places and itself. A state is a discriminated union that carries
 * only what is true in that state. Times are ISO 8601 unless a name ends in `Ms`; sizes are bytes
 * unless a name says MiB.
 */
export * from './agent.ts';
export * from './common.ts';
export * from './guests.ts';
export * from './link.ts';
export * from './network.ts';
export * from './places.ts';
