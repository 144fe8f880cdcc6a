import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromWireError, toWireError, wireError } from '../../src/common/index.ts';
import { backoffMs, IDLE_BACKOFF, RESUME_BACKOFF } from '../../src/transport/backoff.ts';
import { FrameError, FrameType, HEADER_BYTES } from '../../src/transport/frame.ts';
import { agreeOnVersion } from '../../src/transport/hello.ts';
import { Inbox } from '../../src/transport/inbox.ts';
import {
  KEEPALIVE,
  type KeepaliveState,
  keepaliveHeard,
  keepaliveStart,
  keepaliveStep,
} from '../../src/transport/keepalive.ts';
import { LaneSender, MAX_UNACKED_FRAMES, type SentFrame } from '../../src/transport/lane.ts';
import {
  encodeMessage,
  MAX_MESSAGE_BYTES,
  type Message,
  MessageSplitter,
} from '../../src/transport/message.ts';
import { Outbox } from '../../src/transport/outbox.ts';

describe('back-off', () => {
  it.each([
    [0, 0.5, 0],
    [1, 0, 100],
    [1, 1, 200],
    [2, 1, 400],
    [5, 1, 3_200],
    [6, 1, 5_000],
    [1000, 1, 5_000],
    [1000, 0, 2_500],
  ])('after %i failures with luck %d waits %i ms', (failures, random, expected) => {
    expect(backoffMs(RESUME_BACKOFF, failures, random)).toBe(expected);
  });

  it('is patient when nothing is at stake', () => {
    expect(backoffMs(IDLE_BACKOFF, 100, 1)).toBe(30_000);
  });
});

describe('keepalive', () => {
  /** Steps whenever it asks to; what it did, with times. */
  function run(heardAt: number[], untilMs: number, busy: boolean) {
    let state: KeepaliveState = keepaliveStart(0);
    const done: string[] = [];
    const heard = [...heardAt];
    let now = 0;
    let suspect = false;
    while (now < untilMs) {
      while (heard[0] !== undefined && heard[0] <= now) {
        state = keepaliveHeard(state, heard.shift() as number);
      }
      const step = keepaliveStep(KEEPALIVE, state, now, busy);
      state = step.state;
      if (step.action !== 'none') done.push(`${step.action} ${now}`);
      if (step.suspect && !suspect) done.push(`suspect ${now}`);
      suspect = step.suspect;
      if (step.action === 'dead') break;
      expect(step.nextAt).toBeGreaterThan(now);
      now = step.nextAt;
    }
    return done;
  }

  it('asks every second while busy, every five while idle, as long as there are answers', () => {
    const always = [...Array(200).keys()].map((n) => n * 100);
    expect(run(always, 3_500, true)).toEqual(['ping 1000', 'ping 2000', 'ping 3000']);
    expect(run(always, 11_000, false)).toEqual(['ping 5000', 'ping 10000']);
  });

  it('suspects after three seconds of silence, and gives up after ten', () => {
    expect(run([], 60_000, true)).toEqual(['ping 1000', 'suspect 4000', 'dead 11000']);
    expect(run([], 60_000, false)).toEqual(['ping 5000', 'suspect 8000', 'dead 15000']);
  });

  it('believes again when anything is heard', () => {
    expect(run([5_000], 7_500, true)).toEqual(['ping 1000', 'suspect 4000', 'ping 5000']);
  });

  it('does not blame the peer when this process itself was stopped', () => {
    const asked = keepaliveStep(KEEPALIVE, keepaliveStart(0), 1_000, true);
    expect(asked.action).toBe('ping');
    const late = keepaliveStep(KEEPALIVE, asked.state, 60_000, true);
    expect(late).toMatchObject({ action: 'ping', suspect: false });
    expect(keepaliveStep(KEEPALIVE, late.state, 62_000, true).action).toBe('none');
  });
});

describe('versions', () => {
  const range = (oldest: number, newest: number) => ({ oldest, newest });
  it.each([
    [range(1, 1), range(1, 1), 1],
    [range(1, 2), range(2, 3), 2],
    [range(2, 3), range(1, 2), 2],
    [range(2, 3), range(1, 9), 3],
  ])('%o and %o agree on %i', (ours, theirs, version) => {
    expect(agreeOnVersion(ours, theirs)).toBe(version);
  });

  it.each([
    [range(2, 3), range(1, 1), 'The other place runs'],
    [range(1, 1), range(2, 3), 'This place runs'],
  ])('%o and %o cannot agree', (ours, theirs, message) => {
    expect(() => agreeOnVersion(ours, theirs)).toThrowError(
      expect.objectContaining({ code: 'peer-version', message: expect.stringContaining(message) }),
    );
  });
});

describe('a lane', () => {
  const owner = { acked: () => undefined, countWire: () => undefined };
  const frame = (length: number): SentFrame => ({
    type: FrameType.data,
    channel: 6,
    payload: [],
    length,
    owner,
    offset: -1,
    sentAt: 0,
    ackedWhenSent: 0,
  });

  it('hands out each frame until it is acknowledged, across any number of rewinds', () => {
    const command = fc.oneof(
      fc.record({ do: fc.constant('append' as const), length: fc.nat(1000) }),
      fc.record({
        do: fc.constant('ack' as const),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      fc.record({
        do: fc.constant('rewind' as const),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 400 }), (commands) => {
        const lane = new LaneSender();
        /** Offsets at which frames begin or end. */
        const edges = [0];
        let acked = 0;
        let sent = 0;
        for (const each of commands) {
          if (each.do === 'append') {
            let again = lane.next();
            while (again !== undefined) {
              expect(again.offset).toBe(edges[sent]);
              sent += 1;
              again = lane.next();
            }
            const fresh = frame(each.length);
            lane.append(fresh);
            expect(fresh.offset).toBe(edges.at(-1));
            edges.push(fresh.offset + HEADER_BYTES + each.length);
            sent += 1;
          } else {
            acked += Math.floor(each.part * (sent - acked));
            if (each.do === 'ack') lane.acknowledge(edges[acked] as number);
            else {
              lane.rewind(edges[acked] as number);
              sent = acked;
            }
          }
          expect(lane.acked).toBe(edges[acked]);
          expect(lane.inFlight).toBe((edges[sent] as number) - (edges[acked] as number));
          expect(lane.kept).toBe((edges.at(-1) as number) - (edges[acked] as number));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('refuses acknowledgements that cannot be', () => {
    const lane = new LaneSender();
    lane.append(frame(10));
    lane.append(frame(10));
    expect(() => lane.acknowledge(27)).toThrow(FrameError);
    expect(() => lane.acknowledge(53)).toThrow(FrameError);
    const fresh = new LaneSender();
    fresh.append(frame(10));
    fresh.acknowledge(26);
    expect(() => fresh.acknowledge(0)).toThrow(FrameError);
  });

  it('has a cap', () => {
    const lane = new LaneSender();
    for (let count = 0; count < MAX_UNACKED_FRAMES; count += 1) lane.append(frame(0));
    expect(() => lane.append(frame(0))).toThrow(FrameError);
  });
});

describe('messages', () => {
  const message: fc.Arbitrary<Message> = fc.oneof(
    fc.record({
      id: fc.integer({ min: 1 }),
      call: fc.constant('guest.list'),
      params: fc.jsonValue(),
      timeoutMs: fc.integer({ min: 1, max: 3_600_000 }),
    }),
    fc.record({ id: fc.integer({ min: 1 }), result: fc.jsonValue() }),
    fc.record({ cancel: fc.integer({ min: 1 }) }),
    fc.record({ notify: fc.constant('x'), params: fc.jsonValue() }),
  );

  function split(chunks: Buffer[]): Message[] {
    const got: Message[] = [];
    const splitter = new MessageSplitter();
    for (const chunk of chunks) splitter.push(chunk, (value) => got.push(value));
    return got;
  }

  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 10 }),
        (messages, cuts) => {
          const bytes = Buffer.concat(messages.map((each) => encodeMessage(each) as Buffer));
          const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort(
            (a, b) => a - b,
          );
          const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
          expect(split(chunks)).toEqual(JSON.parse(JSON.stringify(messages)));
        },
      ),
    );
  });

  it('are refused when they are too large, empty, not JSON or of no known shape', () => {
    const raw = (length: number, text: string) => {
      const header = Buffer.alloc(4);
      header.writeUInt32BE(length);
      return [header, Buffer.from(text)];
    };
    const refused = expect.objectContaining({ code: 'protocol-violation' });
    expect(() => split(raw(MAX_MESSAGE_BYTES + 1, ''))).toThrowError(refused);
    expect(() => split(raw(0, ''))).toThrowError(refused);
    expect(() => split(raw(2, '{]'))).toThrowError(refused);
    expect(() => split(raw(2, '{}'))).toThrowError(refused);
    const proto = '{"id":1,"result":1,"x":2}';
    expect(() => split(raw(proto.length, proto))).toThrowError(refused);
    expect(encodeMessage({ notify: 'x', params: 'x'.repeat(MAX_MESSAGE_BYTES) })).toBeUndefined();
  });

  it('of a call with a result that JSON cannot say have none', () => {
    expect(split([encodeMessage({ id: 1, result: undefined }) as Buffer])).toEqual([{ id: 1 }]);
  });
});

describe('errors on the wire', () => {
  it('fit into a frame whatever their text is', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 2000, size: 'max' }),
        fc.string({ unit: 'grapheme', maxLength: 2000, size: 'max' }),
        (message, remedy) => {
          const error = toWireError(
            fromWireError({ kind: 'refused', code: 'some-code', message, remedy }),
          );
          expect(Buffer.byteLength(JSON.stringify(error))).toBeLessThanOrEqual(4096);
          expect(wireError.parse(error)).toEqual(error);
        },
      ),
    );
    const worst = toWireError(new Error('\u0000"\\\ud800'.repeat(1000)));
    expect(Buffer.byteLength(JSON.stringify(worst))).toBeLessThanOrEqual(4096);
  });
});

describe('queues of a channel', () => {
  it('an outbox gives back its bytes in order, whatever is asked for', () => {
    const step = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 50 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const outbox = new Outbox();
        const written: Buffer[] = [];
        const taken: Buffer[] = [];
        for (const each of steps) {
          if (typeof each === 'number') {
            const size = Math.floor(each * outbox.bytes);
            const pieces = outbox.take(size);
            expect(Buffer.concat(pieces)).toHaveLength(size);
            taken.push(...pieces);
          } else {
            outbox.push(Buffer.from(each));
            written.push(Buffer.from(each));
          }
        }
        taken.push(...outbox.take(outbox.bytes));
        expect(Buffer.concat(taken).equals(Buffer.concat(written))).toBe(true);
        expect(outbox.bytes).toBe(0);
      }),
    );
  });

  it('an inbox joins tiny pieces once there are many, and keeps their order', () => {
    const inbox = new Inbox();
    const total = 100_000;
    for (let index = 0; index < total; index += 1) inbox.push(Buffer.from([index & 255]));
    const pieces: Buffer[] = [];
    for (let piece = inbox.shift(); piece !== undefined; piece = inbox.shift()) pieces.push(piece);
    expect(pieces.length).toBeLessThan(200);
    const bytes = Buffer.concat(pieces);
    expect(bytes).toHaveLength(total);
    expect(bytes.every((byte, index) => byte === (index & 255))).toBe(true);
    expect(inbox.empty).toBe(true);
  });
});
