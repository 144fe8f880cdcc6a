/**
 * Who may use the window. A link carries a token that works once; it is exchanged for a session, which is a cookie and a
 * key. Both are needed: browsers send the cookie to every port of this host, so that another user's server could
 * collect it, and the key is kept by the page for its own origin only. Nothing here reads a clock.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { SojournError } from '../../common/index.ts';

const SECRET_BYTES = 32;
/** How long a link works, ms. */
export const TOKEN_TTL_MS = 120_000;
/** How long a session lives without being used, ms. */
export const SESSION_IDLE_MS = 12 * 3_600_000;
/** Links not used yet; the oldest makes room. */
const MAX_TOKENS = 16;
/** Browsers let in; the one unused for longest makes room. */
const MAX_SESSIONS = 32;

export interface Credentials {
  readonly cookie: string;
  readonly key: string;
}

interface OpenSession extends Credentials {
  usedAtMs: number;
}

export class Access {
  /** SHA-256 of a token -> when it ends. */
  readonly #tokens = new Map<string, number>();
  #sessions: OpenSession[] = [];

  issue(nowMs: number): { token: string; expiresAtMs: number } {
    for (const [hash, expiresAtMs] of this.#tokens)
      if (expiresAtMs <= nowMs || this.#tokens.size >= MAX_TOKENS) this.#tokens.delete(hash);
    const token = secret();
    const expiresAtMs = nowMs + TOKEN_TTL_MS;
    this.#tokens.set(hashOf(token), expiresAtMs);
    return { token, expiresAtMs };
  }

  /** @throws SojournError `link-used` for any token that does not work (any more). */
  redeem(token: string, nowMs: number): Credentials {
    const hash = hashOf(token);
    const expiresAtMs = this.#tokens.get(hash);
    this.#tokens.delete(hash);
    if (expiresAtMs === undefined || expiresAtMs <= nowMs)
      throw new SojournError({
        kind: 'refused',
        code: 'link-used',
        message: 'This link was used already, or is too old',
        remedy: 'Run "sojourn ui" for a new one',
      });
    this.#expire(nowMs);
    if (this.#sessions.length >= MAX_SESSIONS)
      this.#sessions = this.#sessions
        .toSorted((a, b) => b.usedAtMs - a.usedAtMs)
        .slice(0, MAX_SESSIONS - 1);
    const session = { cookie: secret(), key: secret(), usedAtMs: nowMs };
    this.#sessions.push(session);
    return { cookie: session.cookie, key: session.key };
  }

  /** Whether both belong to one living session, which counts as used then. */
  allows(given: Partial<Credentials>, nowMs: number): boolean {
    this.#expire(nowMs);
    const { cookie, key } = given;
    if (cookie === undefined || key === undefined) return false;
    const session = this.#sessions.find(
      (known) => same(known.cookie, cookie) && same(known.key, key),
    );
    if (session === undefined) return false;
    session.usedAtMs = nowMs;
    return true;
  }

  #expire(nowMs: number): void {
    this.#sessions = this.#sessions.filter(({ usedAtMs }) => usedAtMs + SESSION_IDLE_MS > nowMs);
  }
}

function secret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function same(known: string, given: string): boolean {
  // Hashed, because timingSafeEqual wants equal lengths.
  return timingSafeEqual(Buffer.from(hashOf(known)), Buffer.from(hashOf(given)));
}
