/** Pairing by comparing codes: everything that two honest sides and somebody in between may do, in any order. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  beginComparison,
  type ComparisonEvent,
  type ComparisonState,
  commitmentOf,
  type Meeting,
  type Role,
  stepComparison,
} from '../../src/transport/nearby/comparison.ts';
import type { NearbyMessage } from '../../src/transport/nearby/messages.ts';
import {
  encodeNearby,
  MAX_ATTEMPT_BYTES,
  NearbyReader,
} from '../../src/transport/nearby/messages.ts';
import {
  MAX_TRIES,
  MAX_TRIES_OF_ONE,
  TRIES_WINDOW_MS,
  Tries,
} from '../../src/transport/nearby/tries.ts';

const id = (name: string) => createHash('sha256').update(name).digest('hex');
const bytes = (name: string) => createHash('sha256').update(`nonce ${name}`).digest();

/** One side as its runtime drives it. */
class Party {
  readonly meeting: Meeting;
  readonly outbox: NearbyMessage[] = [];
  readonly name: string;
  state: ComparisonState;

  constructor(name: string, role: Role, peer: string, wire: string, nonce = name) {
    this.name = name;
    const nonceBytes = bytes(nonce);
    this.meeting = {
      role,
      self: id(name),
      peer: id(peer),
      binding: bytes(wire),
      nonce: nonceBytes,
    };
    const { state, send } = beginComparison(this.meeting, { name, profile: 'device' });
    this.state = state;
    this.outbox.push(...send);
  }

  take(event: ComparisonEvent): void {
    const listens = { hosts: ['192.0.2.1'], port: 7000 };
    const { state, send } = stepComparison(this.meeting, listens, this.state, event);
    this.state = state;
    this.outbox.push(...send);
  }

  hear(message: NearbyMessage): void {
    this.take({ type: 'message', message });
  }

  get code(): string | undefined {
    return this.state.kind === 'comparing' ? this.state.code : undefined;
  }
}

function pair(wire = 'wire'): [Party, Party] {
  return [new Party('ann', 'initiator', 'bob', wire), new Party('bob', 'responder', 'ann', wire)];
}

/** Lets all that was said arrive. */
function talk(one: Party, other: Party): void {
  while (one.outbox.length + other.outbox.length > 0) {
    for (const message of one.outbox.splice(0)) other.hear(message);
    for (const message of other.outbox.splice(0)) one.hear(message);
  }
}

describe('two devices that meet', () => {
  test('show the same six digits and pair when both people say so', () => {
    const [ann, bob] = pair();
    talk(ann, bob);
    expect(ann.code).toMatch(/^\d{6}$/);
    expect(bob.code).toBe(ann.code);
    ann.take({ type: 'answer', same: true });
    talk(ann, bob);
    expect([ann.state, bob.state]).toMatchObject([
      { kind: 'comparing', here: true, there: false },
      { kind: 'comparing', here: false, there: true },
    ]);
    bob.take({ type: 'answer', same: true });
    talk(ann, bob);
    expect(ann.state).toMatchObject({ kind: 'paired', place: { name: 'bob' } });
    expect(bob.state).toMatchObject({ kind: 'paired', listens: { port: 7000 } });
  });

  test.each<[string, ComparisonEvent, string, string]>([
    ['differ', { type: 'answer', same: false }, 'codes-differ-here', 'codes-differ-there'],
    ['leave', { type: 'cancelled' }, 'refused-here', 'refused-there'],
    ['do not answer', { type: 'time-over' }, 'timed-out', 'timed-out-there'],
  ])('part when codes or people %s', (_what, event, here, there) => {
    const [ann, bob] = pair();
    talk(ann, bob);
    bob.take({ type: 'answer', same: true });
    talk(ann, bob);
    ann.take(event);
    talk(ann, bob);
    expect(ann.state).toEqual({ kind: 'failed', reason: here });
    expect(bob.state).toEqual({ kind: 'failed', reason: there });
  });

  test('nobody is paired who has not heard the last word', () => {
    const [ann, bob] = pair();
    talk(ann, bob);
    for (const one of [ann, bob]) one.take({ type: 'answer', same: true });
    for (const message of ann.outbox.splice(0)) bob.hear(message);
    for (const message of bob.outbox.splice(0).slice(0, 1)) ann.hear(message);
    ann.outbox.splice(0);
    ann.take({ type: 'connection-lost' });
    expect(ann.state).toEqual({ kind: 'failed', reason: 'connection-lost' });
  });

  test('in whatever order things happen, both pair only after both have said yes', () => {
    const moves = fc.array(
      fc.constantFrom('ann-hears', 'bob-hears', 'ann-yes', 'bob-yes', 'ann-no', 'ann-late', 'cut'),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(moves, (steps) => {
        const [ann, bob] = pair();
        const said = new Set<string>();
        for (const move of steps) {
          // A person can answer only what the screen shows.
          if (move === 'ann-yes' && ann.code !== undefined) said.add('ann');
          if (move === 'bob-yes' && bob.code !== undefined) said.add('bob');
          if (move === 'ann-hears') for (const one of bob.outbox.splice(0, 1)) ann.hear(one);
          if (move === 'bob-hears') for (const one of ann.outbox.splice(0, 1)) bob.hear(one);
          if (move === 'ann-yes') ann.take({ type: 'answer', same: true });
          if (move === 'bob-yes') bob.take({ type: 'answer', same: true });
          if (move === 'ann-no') ann.take({ type: 'cancelled' });
          if (move === 'ann-late') ann.take({ type: 'time-over' });
          if (move === 'cut') for (const one of [ann, bob]) one.take({ type: 'connection-lost' });
          for (const one of [ann, bob]) if (one.state.kind === 'paired') expect(said.size).toBe(2);
          if (ann.code !== undefined && bob.code !== undefined) expect(ann.code).toBe(bob.code);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('somebody in between', () => {
  /** Eve meets both with keys of her own and does what an honest party would. */
  function between(seed: string): { ann: Party; bob: Party; eves: [Party, Party] } {
    const ann = new Party('ann', 'initiator', 'eve', `wire ${seed} 1`, `a ${seed}`);
    const bob = new Party('bob', 'responder', 'eve', `wire ${seed} 2`, `b ${seed}`);
    const toAnn = new Party('eve', 'responder', 'ann', `wire ${seed} 1`, `e1 ${seed}`);
    const toBob = new Party('eve', 'initiator', 'bob', `wire ${seed} 2`, `e2 ${seed}`);
    return { ann, bob, eves: [toAnn, toBob] };
  }

  test('who plays both sides honestly is seen in the codes', () => {
    const same = Array.from({ length: 300 }, (_, seed) => {
      const { ann, bob, eves } = between(String(seed));
      talk(ann, eves[0]);
      talk(bob, eves[1]);
      expect([ann.code, bob.code].every((code) => code?.length === 6)).toBe(true);
      return ann.code === bob.code;
    }).filter(Boolean);
    // By chance one in a million each; the seeds are fixed, so this is not chance any more.
    expect(same).toHaveLength(0);
  });

  test('codes are spread over all six digits', () => {
    const codes = Array.from({ length: 2_000 }, (_, seed) => {
      const { ann, eves } = between(String(seed));
      talk(ann, eves[0]);
      return Number(ann.code);
    });
    expect(new Set(codes).size).toBeGreaterThan(1_990);
    const tenths = Array.from({ length: 10 }, (_, tenth) =>
      codes.filter((code) => Math.floor(code / 100_000) === tenth),
    );
    for (const tenth of tenths) expect(tenth.length).toBeGreaterThan(140);
  });

  test('who relays every message is found by the commitments', () => {
    const { ann, bob } = between('relay');
    talk(ann, bob);
    expect(ann.state).toEqual({ kind: 'failed', reason: 'commitment-broken' });
    expect(bob.state.kind).toBe('failed');
  });

  test('who sends back what was sent is found too', () => {
    const ann = new Party('ann', 'initiator', 'eve', 'wire');
    for (let turn = 0; turn < 3; turn += 1)
      for (const message of ann.outbox.splice(0)) ann.hear(message);
    expect(ann.state).toEqual({ kind: 'failed', reason: 'commitment-broken' });
  });

  test('who replays an earlier connection is found', () => {
    const earlier = pair('first wire');
    const recorded = [...earlier[1].outbox];
    talk(...earlier);
    const again = new Party('ann', 'initiator', 'bob', 'second wire', 'fresh');
    for (const message of recorded) again.hear(message);
    again.hear({ type: 'reveal', nonce: bytes('bob').toString('hex') });
    expect(again.state).toEqual({ kind: 'failed', reason: 'commitment-broken' });
  });

  test('who changes the nonce after seeing the other is found', () => {
    const ann = new Party('ann', 'initiator', 'eve', 'wire');
    const { self, peer, binding } = ann.meeting;
    const commitment = commitmentOf('responder', peer, self, binding, bytes('promised'));
    ann.hear({
      type: 'commit',
      version: 1,
      place: { name: 'eve', profile: 'device' },
      commitment,
    });
    // Ann shows her nonce only now, so that Eve cannot have chosen hers by it.
    expect(ann.outbox.map(({ type }) => type)).toEqual(['commit', 'reveal']);
    ann.hear({ type: 'reveal', nonce: bytes('better').toString('hex') });
    expect(ann.state).toEqual({ kind: 'failed', reason: 'commitment-broken' });
  });

  const commit: NearbyMessage = {
    type: 'commit',
    version: 1,
    place: { name: 'eve', profile: 'device' },
    commitment: id('x'),
  };
  const reveal: NearbyMessage = { type: 'reveal', nonce: id('x') };
  const done: NearbyMessage = { type: 'done', listens: null };
  test.each<[string, NearbyMessage[]]>([
    ['shows a nonce first', [reveal]],
    ['confirms first', [{ type: 'confirm' }]],
    ['is done first', [done]],
    ['commits itself twice', [commit, commit]],
    ['confirms without a nonce', [commit, { type: 'confirm' }]],
    ['is done without a nonce', [commit, done]],
  ])('who %s is refused', (_what, messages) => {
    const ann = new Party('ann', 'initiator', 'eve', 'wire');
    for (const message of messages) ann.hear(message);
    expect(ann.state).toEqual({ kind: 'failed', reason: 'out-of-order' });
    expect(ann.outbox.at(-1)).toEqual({ type: 'refuse', reason: 'protocol' });
    // And nothing of what follows counts.
    ann.take({ type: 'answer', same: true });
    expect(ann.state.kind).toBe('failed');
  });

  test('who is done before both have said yes is refused', () => {
    const [ann, bob] = pair();
    talk(ann, bob);
    ann.take({ type: 'answer', same: true });
    ann.hear({ type: 'done', listens: null });
    expect(ann.state).toEqual({ kind: 'failed', reason: 'out-of-order' });
  });
});

describe('what strangers send', () => {
  test('arrives whole, however the network cuts it', () => {
    const name = 'Büro 机';
    const text = encodeNearby({
      type: 'commit',
      version: 1,
      place: { name, profile: 'device' },
      commitment: id('x'),
    });
    const reader = new NearbyReader();
    const heard = [...Buffer.from(text)].flatMap((byte) => reader.read(Buffer.from([byte])));
    expect(heard).toMatchObject([{ type: 'commit', place: { name } }]);
  });

  test.each([
    ['no JSON', 'hello\n'],
    ['another version', `${JSON.stringify({ type: 'commit', version: 2 })}\n`],
    ['a line without an end', 'x'.repeat(3_000)],
    ['too much', '\n'.repeat(MAX_ATTEMPT_BYTES + 1)],
    [
      'names for addresses',
      encodeNearby({ type: 'done', listens: { hosts: ['evil.example'], port: 1 } }),
    ],
  ])('%s is refused', (_what, text) => {
    expect(() => new NearbyReader().read(Buffer.from(text))).toThrow();
  });

  test('control characters in a name become blanks', () => {
    const place = { name: 'a\u001b[31mb', profile: 'device' } as const;
    const text = encodeNearby({ type: 'commit', version: 1, place, commitment: id('x') });
    expect(new NearbyReader().read(Buffer.from(text))).toMatchObject([
      { place: { name: 'a [31mb' } },
    ]);
  });
});

describe('tries', () => {
  test('of one are few, and come back with time', () => {
    const tries = new Tries();
    for (let count = 0; count < MAX_TRIES_OF_ONE; count += 1) {
      expect(tries.waitMs(['eve'], count)).toBe(0);
      tries.failed(['eve'], count);
    }
    expect(tries.waitMs(['eve'], 10)).toBe(TRIES_WINDOW_MS - 10);
    expect(tries.waitMs(['bob'], 10)).toBe(0);
    expect(tries.waitMs(['eve'], TRIES_WINDOW_MS)).toBe(0);
  });

  test('of everybody together are limited too', () => {
    const tries = new Tries();
    for (let count = 0; count < MAX_TRIES; count += 1) tries.failed([`eve-${count}`], 0);
    expect(tries.waitMs(['bob'], 1)).toBe(TRIES_WINDOW_MS - 1);
  });

  test('are counted by address as well as by key', () => {
    const tries = new Tries();
    for (let count = 0; count < MAX_TRIES_OF_ONE; count += 1)
      tries.failed([`key-${count}`, '192.0.2.7'], 0);
    expect(tries.waitMs(['another key', '192.0.2.7'], 0)).toBeGreaterThan(0);
  });
});
