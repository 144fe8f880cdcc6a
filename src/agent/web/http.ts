/** The few HTTP requests that the window makes: its files, and trading a token for a session. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { toWireError } from '../../common/index.ts';
import type { Access, Credentials } from './access.ts';
import type { BuiltFile } from './built-files.ts';
import { securityHeaders } from './headers.ts';

/** A token and its braces. */
const MAX_BODY_BYTES = 1024;
const sessionRequest = z.strictObject({ token: z.string().max(256) });
/** Carries the key where a WebSocket can carry no header of ours (RFC 6455, 11.3.4). */
const KEY_PROTOCOL = 'sojourn-key.';
export const PROTOCOL = 'sojourn.1';

export interface Site {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly port: number;
  readonly access: Access;
  readonly files: () => ReadonlyMap<string, BuiltFile>;
  readonly now: () => number;
}

/**
 * Whether the request names this host, as a browser that was sent to another name by DNS does not (DNS rebinding), and
 * comes from our own page if the browser says from where.
 */
export function isForUs({ headers }: IncomingMessage, { port }: Site): boolean {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (headers.host === undefined || !hosts.includes(headers.host)) return false;
  const { origin } = headers;
  return origin === undefined || origin === `http://${headers.host}`;
}

/** What a request shows of a session. */
export function credentials({ headers }: IncomingMessage, { port }: Site): Partial<Credentials> {
  const cookies = (headers.cookie ?? '').split(/; */);
  const prefix = `${cookieName(port)}=`;
  const protocols = (headers['sec-websocket-protocol'] ?? '').split(/, */);
  const bearer = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1];
  return {
    cookie: cookies.find((cookie) => cookie.startsWith(prefix))?.slice(prefix.length),
    key:
      bearer ?? protocols.find((name) => name.startsWith(KEY_PROTOCOL))?.slice(KEY_PROTOCOL.length),
  };
}

/** Never rejects. */
export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  site: Site,
): Promise<void> {
  for (const [name, value] of Object.entries(securityHeaders(site.host)))
    response.setHeader(name, value);
  if (!isForUs(request, site)) return end(response, 403);
  // No URL is parsed: what is not one of a few known paths is not there.
  const [pathname = ''] = (request.url ?? '').split('?');
  if (pathname === '/session') return session(request, response, site);
  const file = site.files().get(pathname);
  if (file === undefined) return end(response, 404);
  if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405);
  response.setHeader('Content-Type', file.type);
  response.setHeader('Content-Length', file.content.length);
  response.setHeader('Cache-Control', file.immutable ? 'private, max-age=31536000' : 'no-store');
  response.end(request.method === 'HEAD' ? undefined : file.content);
}

/** `POST {token}` answers `{key}` and sets the cookie; `GET` tells by 204 or 401 whether the session lives. */
async function session(
  request: IncomingMessage,
  response: ServerResponse,
  site: Site,
): Promise<void> {
  const { access, now, port } = site;
  response.setHeader('Cache-Control', 'no-store');
  if (request.method === 'GET')
    return end(response, access.allows(credentials(request, site), now()) ? 204 : 401);
  if (request.method !== 'POST') return end(response, 405);
  // Another page's form can send neither this type nor, to a foreign host, an Origin of ours.
  const isJson = request.headers['content-type'] === 'application/json';
  if (!isJson || request.headers.origin === undefined) return end(response, 403);
  try {
    const body = await bodyOf(request);
    const parsed = sessionRequest.safeParse(body === undefined ? undefined : parse(body));
    if (!parsed.success) return end(response, 400);
    const { cookie, key } = access.redeem(parsed.data.token, now());
    response.setHeader(
      'Set-Cookie',
      `${cookieName(port)}=${cookie}; Path=/; HttpOnly; SameSite=Strict`,
    );
    json(response, 200, { key });
  } catch (error) {
    json(response, 401, { error: toWireError(error) });
  }
}

function cookieName(port: number): string {
  return `sojourn-${port}`;
}

/** Undefined when it is longer than any that we take. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(value));
}

function end(response: ServerResponse, status: number): void {
  // What is left of a body is not waited for.
  response.writeHead(status, status === 204 ? {} : { Connection: 'close' });
  response.end();
}
