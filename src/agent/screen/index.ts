/** The screens of guests, wherever they run. */
export { ScreenListener } from './listener.ts';
export { refuse, requireDisplay, Screens, type ScreensOptions } from './screens.ts';
