export { Receiving } from './receiving.ts';
export { comesBack, type Limits } from './rights.ts';
