import { describe, expect, test } from 'vitest';
import { ProgressLine } from '../../src/cli/progress-line.ts';
import { joined, printable, table } from '../../src/cli/text.ts';
import { formatBytes, formatDuration, parseMemory, parseSize } from '../../src/cli/units.ts';

test.each([
  ['0', 0],
  ['1500', 1500],
  ['512K', 512 * 1024],
  ['512m', 512 * 1024 ** 2],
  ['2G', 2 * 1024 ** 3],
  ['1.5GiB', 1.5 * 1024 ** 3],
  ['1T', 1024 ** 4],
])('size %s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each(['', 'G', '-1G', '1X', '1G2', '1e3', '9'.repeat(20), 'NaN'])('no size: %j', (text) => {
  expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: 'size-malformed' }));
});

test('memory is in MiB unless it says otherwise', () => {
  expect(parseMemory('512')).toBe(512);
  expect(parseMemory('2G')).toBe(2048);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [14_000, '14.0 kB'],
  [999_600, '1.00 MB'],
  [9_994_000, '9.99 MB'],
  [9_996_000, '10.0 MB'],
  [81_000_000, '81.0 MB'],
  [3_000_000_000_000, '3.00 TB'],
])('%i bytes', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test.each([
  [0, '0 ms'],
  [0.26, '0.3 ms'],
  [21.4, '21 ms'],
  [999.4, '999 ms'],
  [999.6, '1.0 s'],
  [59_940, '59.9 s'],
  [59_960, '1 min'],
  [245_000, '4 min 5 s'],
  [3_600_000, '1 h'],
  [7_380_000, '2 h 3 min'],
  [100 * 3_600_000, '4 d 4 h'],
])('%f ms', (ms, text) => expect(formatDuration(ms)).toBe(text));

test('joined', () => {
  expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(joined)).toEqual([
    '',
    'a',
    'a and b',
    'a, b and c',
  ]);
});

test('a table pads all but the last column and is empty without rows', () => {
  expect(
    table(
      ['A', 'B'],
      [
        ['long', 'x'],
        ['s', ''],
      ],
    ),
  ).toBe('A     B\nlong  x\ns');
  expect(table(['A'], [])).toBe('');
});

test('printable keeps letters of all scripts and removes power over the terminal', () => {
  expect(printable('Küche 日本')).toBe('Küche 日本');
  expect(printable('a\u001b]0;x\u0007\u009b1m\r\n\u202e')).toBe('a?]0;x??1m???');
});

describe('the progress line', () => {
  function terminal(isTTY: boolean, columns = 80) {
    const written: string[] = [];
    return { isTTY, columns, written, write: (text: string) => written.push(text) };
  }

  test('is rewritten in place on a terminal, cut to its width, and cleared', () => {
    const tty = terminal(true, 11);
    const line = new ProgressLine(tty);
    line.show('memory', 'memory: 1 MB of 2 MB', 0);
    line.clear();
    line.clear();
    expect(tty.written).toEqual(['\r\u001b[Kmemory: 1 ', '\r\u001b[K']);
  });

  test('elsewhere is a line for each phase and one every 5 s within it', () => {
    const file = terminal(false);
    const line = new ProgressLine(file);
    line.show('memory', 'a', 0);
    line.show('memory', 'b', 4999);
    line.show('memory', 'c', 5000);
    line.show('seal', 'd', 5001);
    line.clear();
    expect(file.written).toEqual(['a\n', 'c\n', 'd\n']);
  });
});
