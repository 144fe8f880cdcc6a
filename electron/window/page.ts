/** The window's page under `app://sojourn`: a scheme of our own, so that it has an origin and reaches no file. */
import { readFile } from 'node:fs/promises';
import { protocol, type Session } from 'electron';
import { contentSecurityPolicy } from '../../src/ui/index.ts';
import { fileOf, SCHEME } from './page-files.ts';

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
