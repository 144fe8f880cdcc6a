/** What devices hear of one another by multicast DNS, and what nobody should be able to do to them by it. */
import { EventEmitter } from 'node:events';
import { Bonjour } from 'bonjour-service';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deviceOf } from '../../../src/agent/nearby/discovery.ts';

const id = 'a'.repeat(64);
const heard = (
  txt: Record<string, string>,
  more: { port?: number; addresses?: string[]; from?: string } = {},
) =>
  deviceOf({
    txt,
    port: more.port ?? 7000,
    addresses: more.addresses ?? [],
    referer: { address: more.from ?? '192.0.2.5', family: 'IPv4', port: 5353, size: 100 },
  });
const good = { v: '1', id, n: 'tablet', p: 'device' };

test('an announcement tells who is there, first where it came from', () => {
  expect(heard(good, { addresses: ['10.0.0.1', '192.0.2.5', 'fe80::1', 'evil.example'] })).toEqual({
    ...{ id, name: 'tablet', profile: 'device' },
    targets: [
      { host: '192.0.2.5', port: 7000 },
      { host: '10.0.0.1', port: 7000 },
    ],
  });
});

test('a name is text, and no more than a name', () => {
  expect(heard({ ...good, n: '<b>\u001b[31m</b>' })?.name).toBe('<b> [31m</b>');
  expect(heard({ ...good, n: 'x'.repeat(65) })).toBeUndefined();
});

test.each<[string, Record<string, string>, { port?: number; from?: string }]>([
  ['nothing', {}, {}],
  ['another version', { ...good, v: '2' }, {}],
  ['an id that is none', { ...good, id: 'me' }, {}],
  ['another profile', { ...good, p: 'king' }, {}],
  ['no port', good, { port: 0 }],
  ['a port that is none', good, { port: 70_000 }],
  ['no address', good, { from: 'fe80::1' }],
])('%s is not a device', (_what, txt, more) => {
  expect(heard(txt, more)).toBeUndefined();
});

/** A socket whose other end is the test. */
class FakeSocket extends EventEmitter {
  bind(_port: number, _address: string, done: () => void): void {
    setImmediate(() => {
      done();
      this.emit('listening');
    });
  }
  readonly sent: Buffer[] = [];
  send(data: Buffer, ...rest: unknown[]): void {
    this.sent.push(data);
    const done = rest.at(-1);
    if (typeof done === 'function') done();
  }
  address = () => ({ port: 5353 });
  addMembership = () => undefined;
  dropMembership = () => undefined;
  setMulticastTTL = () => undefined;
  setMulticastLoopback = () => undefined;
  setMulticastInterface = () => undefined;
  close(done?: () => void): void {
    done?.();
  }
}

test('whatever is sent to the port of multicast DNS, nothing is thrown', async () => {
  const socket = new FakeSocket();
  const options = { socket, interface: '192.0.2.1' };
  const bonjour = new Bonjour(options as object, () => undefined);
  bonjour.publish({ name: 'one', host: 'one.local', type: 'sojourn-pair', port: 7, probe: false });
  bonjour.find({ type: 'sojourn-pair' });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const real = socket.sent;
  expect(real.length).toBeGreaterThan(1);
  const sender = { address: '192.0.2.66', port: 5353, family: 'IPv4', size: 1 };
  fc.assert(
    fc.property(
      fc.nat(real.length - 1),
      fc.array(fc.tuple(fc.nat(2_000), fc.nat(255)), { maxLength: 8 }),
      fc.nat(400),
      (which, changes, cut) => {
        const bytes = Buffer.from(real[which] ?? Buffer.alloc(0));
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        socket.emit('message', bytes.subarray(0, bytes.length - (cut % 40)), sender);
      },
    ),
    { numRuns: 3_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      socket.emit('message', Buffer.from(bytes), sender);
    }),
    { numRuns: 2_000 },
  );
  await new Promise<void>((resolve) => bonjour.destroy(() => resolve()));
});
