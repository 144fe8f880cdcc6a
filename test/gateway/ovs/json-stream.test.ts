import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonStream } from '../../../src/gateway/ovs/json-stream.ts';

test('objects one behind the other, however they are cut', () => {
  const json = fc.dictionary(fc.string(), fc.jsonValue());
  fc.assert(
    fc.property(fc.array(json), fc.array(fc.integer({ min: 1, max: 9 })), (objects, cuts) => {
      const text = objects.map((each) => JSON.stringify(each)).join('');
      const stream = new JsonStream(1e6);
      const found: unknown[] = [];
      for (let at = 0, turn = 0; at < text.length; turn++) {
        const bytes = cuts[turn % Math.max(1, cuts.length)] ?? text.length;
        found.push(...stream.push(text.slice(at, at + bytes)));
        at += bytes;
      }
      expect(found).toEqual(objects.map((each) => JSON.parse(JSON.stringify(each))));
    }),
  );
});

test('braces and quotes in strings mean nothing', () => {
  expect(new JsonStream(100).push('{"a":"}\\"{"} {"b":1}')).toEqual([{ a: '}"{' }, { b: 1 }]);
});

test('a message without an end is given up', () => {
  const stream = new JsonStream(1000);
  stream.push('{"a":"');
  expect(() => {
    for (let n = 0; n < 100; n++) stream.push('x'.repeat(100));
  }).toThrow(RangeError);
});

test.each(['[1]', 'hello', '}', '{"a":1}x'])('%s is refused', (text) => {
  expect(() => new JsonStream(100).push(text)).toThrow(SyntaxError);
});
