/** What a clipboard between a guest and the viewer of its screen does, whatever the guest is. */
import { expect, test } from 'vitest';
import {
  type ClipboardWhere,
  offerClipboard,
  readClipboard,
} from '../../src/cli/clipboard-session.ts';

export interface ClipboardGuest {
  readonly where: ClipboardWhere;
  /** As a person does in the guest. */
  readonly copy: (text: string) => Promise<void>;
  readonly paste: () => Promise<string>;
}

/** Longer than many chunks and some notes, with letters of two, three and four bytes. */
const LONG = 'Grüße, 画面 \u{1f600}\n'.repeat(2_500);

export function clipboardSuite(name: string, guest: () => ClipboardGuest): void {
  test.each([
    ['a word', 'copied in the guest'],
    ['a long text', LONG],
  ])(`${name}: %s that is copied in the guest is read here`, async (_what, text) => {
    const { where, copy } = guest();
    await copy(text);
    await expect.poll(() => readClipboard(where), { timeout: 20_000 }).toBe(text);
  });

  test.each([
    ['a word', 'copied here'],
    ['a long text', LONG],
  ])(
    `${name}: %s that is offered here is pasted in the guest, until another is copied`,
    async (_what, text) => {
      const { where, copy, paste } = guest();
      const offered = Promise.withResolvers<void>();
      const over = offerClipboard(where, text, offered.resolve);
      over.catch(offered.reject);
      await offered.promise;
      await expect.poll(paste, { timeout: 20_000 }).toBe(text);
      await copy('another');
      await over;
      expect(await paste()).toBe('another');
    },
  );
}
