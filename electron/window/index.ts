/** The window, its page, and what the page may not do. */
export { guardContents, guardSession, pageSession } from './guard.ts';
export { showWindowMenu } from './menu.ts';
export { registerPageScheme, servePage } from './page.ts';
export { PAGE_ORIGIN } from './page-files.ts';
export { ScreenWindows } from './screens.ts';
export { MainWindow } from './window.ts';
