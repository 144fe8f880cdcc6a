import { inflateSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import { MAX_CLIPBOARD_TEXT, readClipboardMessage } from '../../src/api/index.ts';
import { type ClipboardState, ScreenClipboard } from '../../src/ui/screen/clipboard.ts';

function fixture() {
  const states: ClipboardState[] = [];
  const copied: string[] = [];
  const sent: string[] = [];
  const clipboard = new ScreenClipboard({
    changed: (state) => states.push(state),
    copied: (text) => copied.push(text),
  });
  const send = (bytes: Uint8Array) => {
    const message = readClipboardMessage(bytes);
    sent.push(
      message?.kind === 'provide'
        ? `provide ${inflateSync(message.deflated).subarray(4)}`
        : `${message?.kind}`,
    );
  };
  const join = () => {
    clipboard.opened(true);
    clipboard.joined(send);
    clipboard.heard({ kind: 'clipboard', ready: true, problem: null });
  };
  return { clipboard, states, copied, sent, join };
}

test('text of the guest is asked for while a person is at its screen, and only then', () => {
  const { clipboard, sent, copied, join } = fixture();
  join();
  clipboard.heard({ kind: 'copied' });
  expect(sent).toEqual(['peek']);
  clipboard.attended = true;
  clipboard.attended = true;
  expect(sent).toEqual(['peek', 'request']);
  clipboard.heard({ kind: 'text', piece: 'one ', more: true });
  clipboard.heard({ kind: 'text', piece: 'two', more: false });
  expect(copied).toEqual(['one two']);
  // What the guest has given is not given back to it.
  clipboard.offer('one two');
  expect(sent).toHaveLength(2);
  clipboard.offer('one two', true);
  expect(sent.at(-1)).toBe('notify');
});

test('our text crosses when it is wanted, and is offered again on the next connection', async () => {
  const { clipboard, sent, join } = fixture();
  join();
  clipboard.offer('a\nb');
  clipboard.offer('a\nb');
  join();
  expect(sent).toEqual(['peek', 'notify', 'peek', 'notify']);
  clipboard.heard({ kind: 'wanted' });
  await vi.waitFor(() => expect(sent.at(-1)).toBe('provide a\r\nb\0'));
  clipboard.heard({ kind: 'copied' });
  clipboard.heard({ kind: 'wanted' });
  join();
  expect(sent.slice(5)).toEqual(['peek']);
});

test('what is too long stays where it is', () => {
  const { clipboard, sent, copied, join } = fixture();
  join();
  clipboard.offer('ü'.repeat(MAX_CLIPBOARD_TEXT / 2 + 1));
  expect(sent).toEqual(['peek']);
  const piece = 'x'.repeat(8 << 10);
  for (let length = 0; length <= MAX_CLIPBOARD_TEXT; length += piece.length)
    clipboard.heard({ kind: 'text', piece, more: true });
  clipboard.heard({ kind: 'text', piece, more: false });
  clipboard.heard({ kind: 'text', piece: 'short', more: false });
  expect(copied).toEqual(['short']);
});

test('a guest without a port, and one in which nothing takes part, are told apart', () => {
  const { clipboard, states, sent } = fixture();
  clipboard.opened(false);
  clipboard.joined(() => sent.push('something'));
  clipboard.heard({ kind: 'clipboard', ready: false, problem: null });
  expect(states).toEqual([{ kind: 'none' }, { kind: 'absent', problem: null }]);
  expect(sent).toEqual([]);
});
