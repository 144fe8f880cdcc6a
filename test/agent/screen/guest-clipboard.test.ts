import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { deflateSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GuestClipboard } from '../../../src/agent/screen/guest-clipboard.ts';
import { ScreenListener, type Screens } from '../../../src/agent/screen/index.ts';
import { Viewing } from '../../../src/agent/screen/viewing.ts';
import { clipboardMessage, ScreenFrames, type ScreenNote } from '../../../src/api/index.ts';
import { readClipboard } from '../../../src/cli/clipboard-session.ts';
import { VdagentPort } from '../../../src/guest/index.ts';
import type { GuestSpec } from '../../../src/guest/spec.ts';
import { FakeAgent } from '../../guest/vdagent/fake-agent.ts';
import { clipboardSuite } from '../../integration/clipboard-suite.ts';

const HANDSHAKE = Buffer.from('RFB 003.008\n\x01\x01', 'latin1');
const place = { id: 'a'.repeat(64), name: 'laptop' };

let folder: string;
let agent: FakeAgent;
let clipboard: GuestClipboard;
let listener: ScreenListener;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clipboard-'));
  agent = await FakeAgent.listen(join(folder, 'vdagent.sock'));
  clipboard = new GuestClipboard(new VdagentPort(join(folder, 'vdagent.sock'), 0));
  const screens = { open: async () => view() } as unknown as Screens;
  const find = () => ({}) as GuestSpec;
  listener = await ScreenListener.listen({ path: join(folder, 'screen.sock'), screens, find });
});

afterEach(async () => {
  clipboard.close();
  await listener.close();
  await agent.close();
  await rm(folder, { recursive: true });
});

/** A stream of frames of a display that shows nothing. */
function view(): Duplex {
  const [viewer, ours] = duplexPair();
  const [display] = duplexPair();
  viewer.once('close', () => ours.destroy());
  new Viewing({ viewer: ours, display, place, guestName: 'desk', clipboard });
  return viewer;
}

const where = () => ({ socketPath: join(folder, 'screen.sock'), guest: 'desk' });

clipboardSuite('a fake agent', () => ({
  where: where(),
  copy: async (text) => {
    // Its port is open when the screen says so.
    await readClipboard(where());
    agent.copy(text);
  },
  paste: () => agent.paste(),
}));

/** A viewer that has taken part, with what it was told. */
async function viewer(): Promise<{ stream: Duplex; notes: ScreenNote[] }> {
  await readClipboard(where());
  const stream = view();
  const notes: ScreenNote[] = [];
  const frames = new ScreenFrames();
  stream.on('data', (chunk) => {
    for (const frame of frames.push(chunk))
      if (frame.kind === 'note' && frame.note.kind !== 'taken') notes.push(frame.note);
  });
  stream.write(Buffer.concat([HANDSHAKE, clipboardMessage({ kind: 'peek' })]));
  await expect.poll(() => notes.at(-1)).toEqual({ kind: 'clipboard', ready: true, problem: null });
  return { stream, notes };
}

test('a viewer that has not asked for a clipboard is told nothing of it', async () => {
  const { stream } = await viewer();
  const other = view();
  const kinds: string[] = [];
  const frames = new ScreenFrames();
  other.on('data', (chunk) => {
    for (const frame of frames.push(chunk))
      kinds.push(frame.kind === 'note' ? frame.note.kind : 'picture');
  });
  // Capabilities, as noVNC answers those of QEMU's display.
  other.write(Buffer.concat([HANDSHAKE, Buffer.from('06000000fffffff81f00000100000000', 'hex')]));
  agent.copy('text');
  await expect.poll(() => kinds).toContain('taken');
  expect(kinds).toEqual(['open', 'taken']);
  stream.destroy();
});

test('viewers learn that there is text, and only who asks for it gets it', async () => {
  const [one, other] = [await viewer(), await viewer()];
  agent.copy('secret');
  await expect.poll(() => one.notes.at(-1)).toEqual({ kind: 'copied' });
  one.stream.write(clipboardMessage({ kind: 'request' }));
  await expect.poll(() => one.notes.at(-1)).toEqual({ kind: 'text', piece: 'secret', more: false });
  expect(other.notes.at(-1)).toEqual({ kind: 'copied' });
});

test('the text of a viewer that has gone is not there any more', async () => {
  const { stream } = await viewer();
  stream.write(clipboardMessage({ kind: 'notify', has: true }));
  await expect.poll(() => agent.heard.at(-1)?.kind).toBe('grab');
  stream.destroy();
  await expect.poll(() => agent.heard.at(-1)?.kind).toBe('release');
});

test('a text from nobody who was asked, or that bursts, does not reach the guest', async () => {
  const [owner, other] = [await viewer(), await viewer()];
  const provide = (text: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    const deflated = deflateSync(Buffer.concat([length, text]));
    return clipboardMessage({ kind: 'provide', deflated });
  };
  owner.stream.write(clipboardMessage({ kind: 'notify', has: true }));
  await expect.poll(() => agent.heard.at(-1)?.kind).toBe('grab');
  const pasted = agent.paste();
  await expect.poll(() => owner.notes.at(-1)).toEqual({ kind: 'wanted' });
  other.stream.write(provide(Buffer.from('forged')));
  owner.stream.write(provide(Buffer.alloc(8 << 20)));
  await expect
    .poll(() => owner.notes.at(-1))
    .toMatchObject({ kind: 'over', error: { code: 'screen-malformed' } });
  expect(await pasted).toBe('');
});

test('a guest that talks nonsense loses its clipboard, with the reason, and no screen; then it may begin anew', async () => {
  const { stream, notes } = await viewer();
  agent.say(Buffer.alloc(64, 0xff));
  await expect
    .poll(() => notes.at(-1))
    .toMatchObject({ kind: 'clipboard', ready: false, problem: expect.stringMatching(/port/) });
  await expect
    .poll(() => notes.at(-1), { timeout: 5_000 })
    .toEqual({ kind: 'clipboard', ready: true, problem: null });
  stream.destroy();
  await once(stream, 'close');
});
