/** What to tell a person outside of the window. */
export { decide, type Memory, type Message, noMemory } from './decide.ts';
export { showNotification } from './show.ts';
