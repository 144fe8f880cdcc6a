/** The window, its page, and what the page may not do. */
export { guardContents, guardSession, pageSession } from './guard.ts';
export { PAGE_ORIGIN, registerPageScheme, servePage } from './page.ts';
export type { Route } from './routes.ts';
export { MainWindow } from './window.ts';
