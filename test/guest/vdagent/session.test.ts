import { expect, test } from 'vitest';
import { CAPABILITY, FORMAT, type VdMessage } from '../../../src/guest/vdagent/protocol.ts';
import {
  firstVdState,
  stepVdagent,
  type VdAction,
  type VdEvent,
} from '../../../src/guest/vdagent/session.ts';

const selection = 0;
const message = (one: VdMessage): VdEvent => ({ kind: 'message', message: one });
const met = (...more: number[]): VdEvent =>
  message({
    ...{ kind: 'capabilities', request: true },
    capabilities: new Set([CAPABILITY.clipboardByDemand, CAPABILITY.clipboardSelection, ...more]),
  });
const copied = message({ kind: 'grab', selection, formats: [9, FORMAT.utf8Text] });
const asks = message({ kind: 'request', selection, format: FORMAT.utf8Text });
const text = (data: string, format: number = FORMAT.utf8Text): VdEvent =>
  message({ kind: 'clipboard', selection, format, data: Buffer.from(data) });
const offer: VdEvent = { kind: 'offer', has: true };
const provide = (own: string | null): VdEvent => ({ kind: 'provide', text: own });

/** What comes of the last event. */
function after(...events: readonly VdEvent[]): readonly VdAction[] {
  let state = firstVdState;
  let last: readonly VdAction[] = [];
  for (const event of events) {
    const step = stepVdagent(state, event);
    [state, last] = [step.state, step.actions];
  }
  return last;
}

/** In short: what is sent by its kind, what is told as it is. */
const shown = (actions: readonly VdAction[]) =>
  actions.map((action) => (action.kind === 'send' ? `send ${action.message.kind}` : action));

test.each<[string, readonly VdEvent[], readonly unknown[]]>([
  ['a port that opens is told what we can', [{ kind: 'connected' }], ['send capabilities']],
  ['an agent is answered', [met()], ['send capabilities', { kind: 'ready', ready: true }]],
  [
    'one that can be told is told the longest text',
    [met(CAPABILITY.maxClipboard)],
    ['send capabilities', 'send max-clipboard', { kind: 'ready', ready: true }],
  ],
  [
    'one that begins anew is offered again',
    [met(), offer, met()],
    ['send capabilities', 'send grab'],
  ],
  [
    'what was offered before it came is offered',
    [offer, met()],
    ['send capabilities', { kind: 'ready', ready: true }, 'send grab'],
  ],
  ['text in the guest is told', [met(), copied], [{ kind: 'copied' }]],
  [
    'a picture in the guest is not',
    [met(), message({ kind: 'grab', selection, formats: [2] })],
    [],
  ],
  [
    'nor is text of another selection',
    [met(), message({ kind: 'grab', selection: 1, formats: [1] })],
    [],
  ],
  ['nor of an agent that has not said what it can', [copied], []],
  ['it is asked for its text', [met(), copied, { kind: 'ask' }], ['send request']],
  ['once', [met(), copied, { kind: 'ask' }, { kind: 'ask' }], []],
  ['one without text is not', [met(), { kind: 'ask' }], [{ kind: 'text', text: '' }]],
  ['its text is told', [met(), copied, { kind: 'ask' }, text('a')], [{ kind: 'text', text: 'a' }]],
  ['what was not asked for is not', [met(), copied, text('a')], []],
  [
    'a text that it has no more is empty',
    [met(), copied, { kind: 'ask' }, message({ kind: 'release', selection })],
    [{ kind: 'text', text: '' }],
  ],
  [
    'so is one that cannot be told',
    [met(), copied, { kind: 'ask' }, text('', FORMAT.none)],
    [{ kind: 'text', text: '' }],
  ],
  ['ours is wanted', [met(), offer, asks], [{ kind: 'wanted' }]],
  ['and provided', [met(), offer, asks, provide('b')], ['send clipboard']],
  ['not twice', [met(), offer, asks, provide('b'), provide('b')], []],
  ['not after the guest has copied itself', [met(), offer, asks, copied, provide('b')], []],
  ['nobody has any: nothing is answered', [met(), asks], ['send clipboard']],
  [
    'who wanted it gets nothing when it goes',
    [met(), offer, asks, { kind: 'offer', has: false }],
    ['send clipboard', 'send release'],
  ],
  [
    'a port that closes leaves nobody waiting',
    [met(), copied, { kind: 'ask' }, { kind: 'disconnected' }],
    [
      { kind: 'text', text: '' },
      { kind: 'ready', ready: false },
    ],
  ],
  [
    'after a handoff what was offered is offered again',
    [met(), offer, { kind: 'disconnected' }, { kind: 'connected' }, met()],
    ['send capabilities', { kind: 'ready', ready: true }, 'send grab'],
  ],
])('%s', (_what, events, actions) => {
  expect(shown(after(...events))).toEqual(actions);
});

test('lines of a guest on Windows end as its own do, and as ours do here', () => {
  const windows = met(CAPABILITY.guestLineEndCrlf);
  expect(after(windows, copied, { kind: 'ask' }, text('a\r\nb\0'))).toEqual([
    { kind: 'text', text: 'a\nb' },
  ]);
  const sent = after(windows, offer, asks, provide('a\nb\r\nc'));
  expect(sent).toMatchObject([{ message: { data: Buffer.from('a\r\nb\r\nc') } }]);
});
