import { expect, test } from 'vitest';
import { Access, SESSION_IDLE_MS, TOKEN_TTL_MS } from '../../../src/agent/web/access.ts';

const used = expect.objectContaining({ code: 'link-used', kind: 'refused' });

test('a token works once', () => {
  const access = new Access();
  const { token, expiresAtMs } = access.issue(1000);
  expect(expiresAtMs).toBe(1000 + TOKEN_TTL_MS);
  const session = access.redeem(token, 1000);
  expect(access.allows(session, 1000)).toBe(true);
  expect(() => access.redeem(token, 1000)).toThrow(used);
});

test('a token that is too old or was never issued does not work', () => {
  const access = new Access();
  const { token, expiresAtMs } = access.issue(0);
  expect(() => access.redeem(token, expiresAtMs)).toThrow(used);
  expect(() => access.redeem('', 0)).toThrow(used);
});

test('cookie and key are needed, of the same session', () => {
  const access = new Access();
  const one = access.redeem(access.issue(0).token, 0);
  const two = access.redeem(access.issue(0).token, 0);
  expect(access.allows({ cookie: one.cookie }, 0)).toBe(false);
  expect(access.allows({ key: one.key }, 0)).toBe(false);
  expect(access.allows({ cookie: one.cookie, key: two.key }, 0)).toBe(false);
  expect(access.allows(one, 0)).toBe(true);
});

test('a session ends when it is not used for long, and not while it is', () => {
  const access = new Access();
  const session = access.redeem(access.issue(0).token, 0);
  expect(access.allows(session, SESSION_IDLE_MS - 1)).toBe(true);
  expect(access.allows(session, 2 * SESSION_IDLE_MS - 2)).toBe(true);
  expect(access.allows(session, 3 * SESSION_IDLE_MS)).toBe(false);
});

test('the number of links and of sessions is bounded: the oldest makes room', () => {
  const access = new Access();
  const tokens = Array.from({ length: 17 }, () => access.issue(0).token);
  expect(() => access.redeem(tokens[0] ?? '', 0)).toThrow(used);
  expect(() => access.redeem(tokens[16] ?? '', 0)).not.toThrow();
  const sessions = Array.from({ length: 33 }, (_, at) =>
    access.redeem(access.issue(at).token, at + 1),
  );
  expect(access.allows(sessions[0] ?? {}, 40)).toBe(false);
  expect(access.allows(sessions[32] ?? {}, 40)).toBe(true);
});
