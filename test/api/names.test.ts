import { describe, expect, test } from 'vitest';
import { apiSocketPath, resolveReference, stateDirectory } from '../../src/api/index.ts';

describe('the state directory', () => {
  const home = '/home/u/.local/state/sojourn';
  test.each([
    ['the option wins', '/s', { SOJOURN_STATE: '/e', HOME: '/home/u' }, '/s'],
    ['the environment is next', undefined, { SOJOURN_STATE: '/e', XDG_STATE_HOME: '/x' }, '/e'],
    ['an empty variable is none', undefined, { SOJOURN_STATE: '', HOME: '/home/u' }, home],
    ['XDG', undefined, { XDG_STATE_HOME: '/x', HOME: '/home/u' }, '/x/sojourn'],
    ['a relative XDG is ignored', undefined, { XDG_STATE_HOME: 'x', HOME: '/home/u' }, home],
    ['the default', undefined, { HOME: '/home/u' }, home],
  ])('%s', (_name, option, env, expected) => {
    expect(stateDirectory(option, env)).toBe(expected);
    expect(apiSocketPath(stateDirectory(option, env))).toBe(`${expected}/agent.sock`);
  });
});

describe('a reference', () => {
  const alpine = { id: '3f2b8c1e-0000', name: 'alpine' };
  const work = { id: '3f2b9d00-0000', name: 'work' };
  const confusing = { id: 'aaaa0000-0000', name: '3f2b8' };
  const known = [alpine, work, confusing];

  test.each([
    ['a name', 'work', work],
    ['a full id', '3f2b8c1e-0000', alpine],
    ['a beginning of an id', '3f2b9', work],
    ['a name that begins an id', '3f2b8', confusing],
  ])('%s', (_name, reference, expected) => {
    expect(resolveReference('guest', reference, known)).toBe(expected);
  });

  test.each([
    ['nothing of that name', 'guest', 'wrok', 'guest-unknown', /known here: alpine, work/],
    ['a beginning too short to be meant', 'guest', '3f2', 'guest-unknown', /3f2/],
    ['an ambiguous beginning', 'place', '3f2b', 'place-ambiguous', /alpine.*work/],
  ] as const)('%s', (_name, what, reference, code, text) => {
    const resolve = () => resolveReference(what, reference, known);
    expect(resolve).toThrow(expect.objectContaining({ code }));
    expect(resolve).toThrow(text);
  });

  test('without candidates', () => {
    expect(() => resolveReference('place', 'x', [])).toThrow(/no place is known here/);
  });
});
