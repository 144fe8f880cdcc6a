/** The window in a browser of this host: its files and its calls, on loopback, with a token. */
export { BUILT_UI } from './built-files.ts';
export { WebServer, type WebServerOptions } from './web-server.ts';
