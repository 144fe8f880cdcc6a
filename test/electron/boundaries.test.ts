/** Everything that comes from outside: the page's messages, addresses, links, and what the host says. */
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lastWords } from '../../electron/agent/launch.ts';
import { deepLinkIn, parseDeepLink } from '../../electron/deep-link.ts';
import { desktopEntry } from '../../electron/desktop-entry.ts';
import { readCall, readSubscription } from '../../electron/ipc/requests.ts';
import { MAX_PARAMETERS } from '../../electron/ipc/schema.ts';
import { isTrusted } from '../../electron/ipc/sender.ts';
import { difference, tellable } from '../../electron/system/conditions.ts';
import { mayHaveToLeave, mayLetGo } from '../../electron/system/leaving.ts';
import { coarsePercent, linkQuality, steadyEstimate } from '../../electron/tray/figures.ts';
import { withoutMnemonic } from '../../electron/tray/label.ts';
import { fileOf } from '../../electron/window/page-files.ts';
import { languageOf } from '../../electron/words/index.ts';
import { hrefOf } from '../../src/ui/index.ts';
import * as s from './states.ts';

describe('calls of the page', () => {
  test('of the contract are taken', () => {
    const params = { guest: 'dev', to: 'cloud' };
    expect(readCall({ method: 'handoff.start', params })).toEqual({
      method: 'handoff.start',
      params,
    });
  });
  test.each<[string, unknown, string]>([
    ['no object', 'guest.list', 'request-malformed'],
    ['nothing', undefined, 'request-malformed'],
    ['more than a call', { method: 'guest.list', params: {}, frame: 1 }, 'request-malformed'],
    ['an unknown call', { method: 'shell.exec', params: {} }, 'call-unknown'],
    ['a name from the prototype', { method: 'constructor', params: {} }, 'call-unknown'],
    ['a name that is too long', { method: 'x'.repeat(65), params: {} }, 'request-malformed'],
    [
      'parameters that lack something',
      { method: 'handoff.start', params: {} },
      'request-malformed',
    ],
    ['parameters too many', { method: 'guest.list', params: { all: true } }, 'request-malformed'],
  ])('%s is refused', (_name, message, code) => {
    expect(() => readCall(message)).toThrow(expect.objectContaining({ code }));
  });
  test('nothing gets through that the contract does not take', () => {
    fc.assert(
      fc.property(fc.anything(), (message) => {
        expect(() => readCall(message)).toThrow();
      }),
    );
  });
  test('parameters have a limit', () => {
    const message = { method: 'place.invite', params: { hosts: ['a'.repeat(MAX_PARAMETERS)] } };
    expect(() => readCall(message)).toThrow(expect.objectContaining({ code: 'request-malformed' }));
  });
});

describe('subscriptions of the page', () => {
  test('only calls with items can be followed', () => {
    expect(readSubscription({ id: 1, method: 'status.watch', params: {} }).id).toBe(1);
    expect(() => readSubscription({ id: 1, method: 'guest.list', params: {} })).toThrow('no items');
    expect(() => readSubscription({ id: 0, method: 'status.watch', params: {} })).toThrow();
  });
});

describe('senders', () => {
  const origin = 'app://sojourn';
  test.each<[string, { url: string; parent: unknown } | null, boolean]>([
    ['our page', { url: 'app://sojourn/#/', parent: null }, true],
    ['our page in a frame', { url: 'app://sojourn/', parent: {} }, false],
    ['a frame that is gone', null, false],
    ['another page', { url: 'https://example.org/', parent: null }, false],
    ['a host like ours', { url: 'app://sojourn.example/', parent: null }, false],
    ['our host under another scheme', { url: 'https://sojourn/', parent: null }, false],
    ['a user name like ours', { url: 'app://sojourn@example.org/', parent: null }, false],
    ['a file', { url: 'file:///etc/passwd', parent: null }, false],
    ['an empty address', { url: '', parent: null }, false],
  ])('%s', (_name, frame, trusted) => {
    expect(isTrusted(frame, origin)).toBe(trusted);
  });
});

describe('addresses of the page', () => {
  const folder = '/opt/sojourn/dist/ui';
  test.each<[string, string | undefined]>([
    ['app://sojourn/', join(folder, 'index.html')],
    ['app://sojourn/?x=1', join(folder, 'index.html')],
    ['app://sojourn/assets/index-1.js', join(folder, 'assets/index-1.js')],
    ['app://sojourn/../../../../etc/passwd.html', join(folder, 'etc/passwd.html')],
    ['app://sojourn/%2e%2e/%2e%2e/secret.html', join(folder, 'secret.html')],
    ['app://sojourn/..%2f..%2fsecret.html', undefined],
    ['app://sojourn/a%5c..%5c..%5csecret.html', undefined],
    ['app://sojourn/a%00.html', undefined],
    ['app://sojourn/%ff.html', undefined],
    ['app://sojourn/.built-from', undefined],
    ['app://elsewhere/index.html', undefined],
    ['https://sojourn/index.html', undefined],
    ['nonsense', undefined],
  ])('%s', (address, path) => {
    expect(fileOf(address, folder)?.path).toBe(path);
  });
  test('none leads out of the folder', () => {
    const part = fc.constantFrom(
      '..',
      '%2e%2e',
      '%2f',
      '/',
      '\\',
      '%5c',
      'a',
      '.html',
      '%00',
      '//',
    );
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const file = fileOf(`app://sojourn/${parts.join('')}.html`, folder);
        expect(file === undefined || file.path.startsWith(`${folder}/`)).toBe(true);
      }),
    );
  });
});

describe('deep links', () => {
  test.each<[string, string | undefined]>([
    ['sojourn://pair/sojourn1.eyJhIjoxfQ', '#/places/pair/sojourn1.eyJhIjoxfQ'],
    ['sojourn://pair/sojourn1.eyJhIjoxfQ/', '#/places/pair/sojourn1.eyJhIjoxfQ'],
    ['sojourn://pair/', undefined],
    ['sojourn://pair/sojourn1.a?x=1', undefined],
    ['sojourn://pair/sojourn1.a/../../settings', undefined],
    ['sojourn://pair/javascript:alert(1)', undefined],
    ['sojourn://stop/sojourn1.a', undefined],
    ['https://pair/sojourn1.a', undefined],
    [`sojourn://pair/sojourn1.${'a'.repeat(9000)}`, undefined],
  ])('%s', (link, fragment) => {
    const route = parseDeepLink(link);
    expect(route && hrefOf(route)).toBe(fragment);
  });
  test('one among arguments is found, and none is made up', () => {
    expect(deepLinkIn(['app', '--hidden', 'sojourn://pair/sojourn1.a'])).toBeDefined();
    expect(deepLinkIn(['app', '--x=sojourn://pair/sojourn1.a'])).toBeUndefined();
  });
});

describe('figures that do not jump', () => {
  test.each<[string, number | undefined, number | null, number, number | undefined]>([
    ['the first', undefined, 400, 0, 400],
    ['a little more', 400, 480, 60_000, 400],
    ['much more, soon after', 400, 900, 5_000, 400],
    ['much more', 400, 900, 15_000, 900],
    ['so much more that it cannot wait', 400, 1300, 1_000, 1300],
    ['much less', 4000, 2000, 15_000, 2000],
    ['a small difference of a long time', 10_000, 11_000, 60_000, 10_000],
    ['nothing honest any more', 400, null, 0, undefined],
  ])('%s', (_name, before, now, afterMs, shown) => {
    const was = before === undefined ? undefined : { ms: before, sinceMs: 0 };
    expect(steadyEstimate(was, now, afterMs)?.ms).toBe(shown);
  });
  test('percents come in tens, round trips in words', () => {
    expect([coarsePercent(null), coarsePercent(9), coarsePercent(99)]).toEqual([null, 0, 90]);
    expect([false, true].map((on) => linkQuality(on, null))).toEqual(['lost', 'known']);
    expect([20, 200, 800].map((ms) => linkQuality(true, ms))).toEqual(['good', 'slow', 'verySlow']);
  });
});

describe('the host', () => {
  test('only what the agent takes is told', () => {
    expect(tellable({ onBattery: true, metered: undefined })).toEqual({ onBattery: true });
    expect(tellable({})).toBeUndefined();
    expect(tellable({ nobodyKnows: 1 } as never)).toBeUndefined();
  });
  test('only what has changed', () => {
    expect(difference({ onBattery: true }, { onBattery: true, lid: 'open' })).toEqual({
      lid: 'open',
    });
    expect(difference({ onBattery: true }, { onBattery: true })).toBeUndefined();
  });
  const leaving = { sinceMs: 0, patienceMs: 5000 };
  const moving = s.statusWith([s.guest(s.states.movingOut)]);
  const staying = s.statusWith([s.guest(s.states.running)]);
  test.each<[string, Parameters<typeof mayLetGo>, boolean]>([
    ['sleep waits while it is decided', [leaving, staying, 500], false],
    ['not longer when nobody leaves', [leaving, staying, 1000], true],
    ['as long as somebody leaves', [leaving, moving, 4000], false],
    ['but not longer than the system waits', [leaving, moving, 4700], true],
    ['nor for an agent that is away', [leaving, undefined, 1000], true],
  ])('%s', (_name, facts, letGo) => {
    expect(mayLetGo(...facts)).toBe(letGo);
  });
  test('only who stands by somewhere has to leave', () => {
    expect(mayHaveToLeave(staying)).toBe(false);
    const safe = s.guest(s.states.running, { standby: s.standby() });
    expect(mayHaveToLeave(s.statusWith([safe]))).toBe(false);
    expect(mayHaveToLeave(s.statusWith([safe], { link: s.link({ automatic: false }) }))).toBe(
      false,
    );
    expect(mayHaveToLeave(s.statusWith([safe], { link: s.link() }))).toBe(true);
    expect(mayHaveToLeave(s.statusWith([], { link: s.link() }))).toBe(false);
    expect(mayHaveToLeave(undefined)).toBe(false);
  });
});

describe('words', () => {
  test('the last words of an agent that ended, without its log', () => {
    const output = '{"level":30}\nsojourn: QEMU is missing. Install it.\n{"level":30}\n';
    expect(lastWords(output)).toBe('QEMU is missing. Install it.');
    expect(lastWords('{"level":30}\n')).toBe('');
    expect(lastWords('sojourn: \u001b[31mred')).toBe('[31mred');
  });
  test('an ampersand in a name is no shortcut', () => {
    expect(withoutMnemonic('R&D')).toBe('R&&D');
  });
  test('the language of a locale', () => {
    expect(['ja-JP', 'ja', 'en-GB', 'de'].map(languageOf)).toEqual(['ja', 'ja', 'en', 'en']);
  });
  test('a command in a desktop entry stays one command', () => {
    const entry = desktopEntry(['/opt/a b/50% "x" $HOME', '--hidden']);
    expect(entry).toContain('Exec="/opt/a b/50%% \\\\"x\\\\" \\\\$HOME" "--hidden"');
  });
});
