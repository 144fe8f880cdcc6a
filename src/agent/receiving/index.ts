export { Receiving } from './receiving.ts';
export type { Limits } from './rights.ts';
