import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Gate } from '../../src/handoff/gate.ts';

const bytes = (n: number) => Buffer.alloc(1_000, n);

test('what passes is whole and in order', async () => {
  const gate = new Gate();
  const all = buffer(Readable.from([bytes(1), bytes(2), bytes(3)]).pipe(gate));
  gate.shut();
  await turn();
  gate.open();
  expect(await all).toEqual(Buffer.concat([bytes(1), bytes(2), bytes(3)]));
});

test('while it is shut nothing passes, and its writer has to wait', async () => {
  const gate = new Gate();
  const passed: Buffer[] = [];
  gate.on('data', (chunk) => passed.push(chunk));
  gate.shut();
  expect(gate.write(bytes(1))).toBe(false);
  await turn();
  expect(passed).toEqual([]);
  const drained = once(gate, 'drain');
  gate.open();
  await drained;
  expect(passed).toEqual([bytes(1)]);
});

test('an end behind a shut gate comes when it is opened', async () => {
  const gate = new Gate();
  gate.shut();
  gate.end();
  let over = false;
  gate.on('end', () => {
    over = true;
  });
  gate.resume();
  await turn();
  expect(over).toBe(false);
  gate.open();
  await once(gate, 'end');
});
