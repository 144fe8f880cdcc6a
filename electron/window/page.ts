/** The window's page under `app://sojourn`: a scheme of our own, so that it has an origin and reaches no file. */
import { readFile } from 'node:fs/promises';
import { extname, join, normalize, sep } from 'node:path';
import { protocol, type Session } from 'electron';
import { contentSecurityPolicy } from '../../src/ui/index.ts';

const SCHEME = 'app';
export const PAGE_ORIGIN = `${SCHEME}://sojourn`;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

/** Before the app is ready. Without `bypassCSP`, and without service workers. */
export function registerPageScheme(): void {
  protocol.registerSchemesAsPrivileged([
    { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true } },
  ]);
}

/** @param directory the built window */
export function servePage(session: Session, directory: string): void {
  session.protocol.handle(SCHEME, async ({ url, method }) => {
    const file = fileOf(url, directory);
    if (method !== 'GET' || file === undefined) return new Response(null, { status: 404 });
    const content = await readFile(file.path).catch(() => undefined);
    if (content === undefined) return new Response(null, { status: 404 });
    return new Response(content, {
      headers: {
        'Content-Type': file.type,
        'Content-Security-Policy': contentSecurityPolicy(),
        'X-Content-Type-Options': 'nosniff',
        'Cache-Control': 'no-store',
      },
    });
  });
}

/** Undefined for what is not below the directory, or no file of a page. */
export function fileOf(
  address: string,
  directory: string,
): { readonly path: string; readonly type: string } | undefined {
  if (!URL.canParse(address)) return undefined;
  const url = new URL(address);
  if (`${url.protocol}//${url.host}` !== PAGE_ORIGIN) return undefined;
  let name: string;
  try {
    name = decodeURIComponent(url.pathname);
  } catch {
    return undefined;
  }
  if (name.includes('\0') || name.includes('\\')) return undefined;
  const path = normalize(join(directory, name === '/' ? 'index.html' : name));
  const type = types[extname(path)];
  if (type === undefined || !path.startsWith(directory + sep)) return undefined;
  return { path, type };
}
