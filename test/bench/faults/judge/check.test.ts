/** The judge can tell: what one guest in one place says passes, and each forgery of it does not. */
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { judge } from './check.ts';

const BOOT = '11111111-2222-3333-4444-555555555555';
const OTHER_BOOT = '99999999-2222-3333-4444-555555555555';
const [SOURCE, DESTINATION] = ['100', '200'];
/** Reports come every 50 ms; the fault is at 1000, mended at 2000, the handoff done at 2500, the end at 4000. */
const HANDED_OVER = 2_500;
const END = 4_000;

function record(number: number, boot = BOOT): Buffer {
  const covered = Buffer.from(`${String(number).padStart(10, '0')} ${boot} `.padEnd(118, '.'));
  const sum = crc32(covered).toString(16).padStart(8, '0');
  return Buffer.concat([covered, Buffer.from(` ${sum}\n`)]);
}

const fetched = (records: readonly Buffer[]) =>
  `fetched ${Buffer.concat(records).toString('base64')}`;
const report = (at: number, counter = at / 50, boot = BOOT, records = Math.floor(at / 1000)) =>
  `report ${at} ${boot} ${counter} ${records}`;
const ran = (at: number, ...used: (readonly [pid: string, ns: number])[]) =>
  `ran ${at} ${at + 50} ${used.flat().join(' ')}`.trim();

const ticks = Array.from({ length: END / 50 }, (_, index) => index * 50);
const records = [1, 2, 3, 4].map((number) => record(number));
const runner = (at: number) => (at < HANDED_OVER ? SOURCE : DESTINATION) ?? '';

function lines(): string[] {
  const seen = ticks.flatMap((at) => [report(at), ran(at, [runner(at), 900_000])]);
  seen.splice(seen.indexOf(report(1_000)), 0, 'fault 1000 memory/cut/1');
  seen.splice(seen.indexOf(report(2_000)), 0, 'mended 2000');
  return ['boots one', ...seen, 'asked', fetched(records), `end ${END} running`];
}

/** With `line` right after the one of the report at `at`. */
function forged(at: number, ...more: string[]): string {
  const all = lines();
  all.splice(all.indexOf(report(at)) + 1, 0, ...more);
  return all.join('\n');
}

function replaced(change: (line: string) => string | undefined): string {
  return lines()
    .flatMap((line) => change(line) ?? [])
    .join('\n');
}

const spans = (from: number, to: number) => (line: string) => {
  const [word, at = ''] = line.split(' ');
  return { word, at: Number(at), within: Number(at) >= from && Number(at) < to };
};

describe('the judge', () => {
  it('is content with one guest that moved, through a silence too', () => {
    expect(judge(lines().join('\n'))).toMatchObject({ problems: [], reports: 80, records: 4 });
    const silent = replaced((line) => {
      const { word, within } = spans(1_000, 1_900)(line);
      return word === 'report' && within ? undefined : line;
    });
    expect(judge(silent)).toMatchObject({ problems: [], longestSilenceMs: 950 });
  });

  it.each([
    ['a second copy that counts on its own', forged(3_000, report(3_010, 45)), 'a step back'],
    ['the same report twice', forged(3_000, report(3_010, 60)), 'came twice'],
    ['another boot', forged(3_000, report(3_010, 61, OTHER_BOOT)), 'another boot'],
    [
      'an older disk',
      forged(3_000, report(3_010, 60.5, BOOT, 1)),
      'a step back: 1 records after 3',
    ],
    ['a broken connection', forged(3_000, 'broken 3001 ECONNRESET'), 'connection broke'],
    ['a gap in the records', replaced(swap([1, 2, 4, 5])), 'a gap: 0000000004 in place of 3'],
    ['too few records', replaced(swap([1, 2])), '2 records, of which 3 were safe'],
    [
      'a damaged record',
      replaced((line) => (line.startsWith('fetched') ? fetched([damaged(1)]) : line)),
      'checksum of 1',
    ],
    [
      'records of another boot',
      replaced((line) =>
        line.startsWith('fetched')
          ? fetched([record(1, OTHER_BOOT), record(2), record(3), record(4)])
          : line,
      ),
      'another boot wrote 2',
    ],
    [
      'no records',
      replaced((line) => (line.startsWith('fetched') ? undefined : line)),
      'not be read',
    ],
    [
      'silence after all was mended',
      replaced((line) => {
        const { word, within } = spans(2_000, END)(line);
        return word === 'report' && within ? undefined : line;
      }),
      'no report after all was mended',
    ],
    ['an end that nobody told', replaced((l) => (l.startsWith('end') ? undefined : l)), 'nobody'],
    ['a line that nobody knows', forged(3_000, 'reprot 1'), 'nobody knows'],
  ])('finds %s', (_, log, problem) => {
    expect(judge(log).problems.join('; ')).toContain(problem);
  });

  it('finds a copy that runs without being heard', () => {
    const silent = (from: number, to: number) =>
      replaced((line) => {
        const { word, at, within } = spans(from, to)(line);
        return word === 'ran' && within ? ran(at, ['100', 700_000], ['200', 900_000]) : line;
      });
    expect(judge(silent(2_500, 2_700)).problems.join()).toContain('two guests ran at once');
    expect(judge(silent(3_000, 4_000)).problems.join()).toContain('two guests ran at once');
    // One window in which the change falls, and QEMU's own work before and after, are no second guest.
    expect(judge(silent(2_500, 2_550)).problems).toEqual([]);
    expect(judge(silent(1_000, 1_050)).problems).toEqual([]);
  });

  it('finds two that take turns', () => {
    const turns = replaced((line) => {
      const { word, at, within } = spans(2_500, 3_000)(line);
      return word === 'ran' && within
        ? ran(at, [(at / 50) % 2 === 0 ? '100' : '200', 900_000])
        : line;
    });
    expect(judge(turns).problems.join()).toContain('two guests ran at once');
  });

  it('does not let a guest stand still for longer than it may', () => {
    const still = (ms: number, limit: number) =>
      `limit ${limit}\n${replaced((line) => {
        const { word, at, within } = spans(1_100, 1_100 + ms)(line);
        return word === 'ran' && within ? ran(at, ['100', 1_000]) : line;
      })}`;
    expect(judge(still(900, 800)).problems.join()).toContain('stood still for 900 ms');
    expect(judge(still(900, 1_000))).toMatchObject({ problems: [], longestStandstillMs: 900 });
  });

  describe('of a guest that was killed', () => {
    const dead = (
      pid: string,
      after: (at: number) => readonly [string, number] | undefined,
      usedNs = 900_000,
    ) =>
      [
        'boots one',
        ...ticks.flatMap((at) => {
          if (at < 1_000) return [report(at), ran(at, ['100', 900_000])];
          const used = after(at);
          return [used === undefined ? ran(at) : ran(at, used)];
        }),
        `killed 1000 ${pid} ${usedNs}`,
        `end ${END} stopped`,
      ].join('\n');

    it('accepts that it is stopped', () => {
      expect(judge(dead('100', () => undefined)).problems).toEqual([]);
    });
    it('finds that somebody started it again', () => {
      const again = dead('100', (at) => (at < 3_000 ? undefined : ['300', 900_000]));
      expect(judge(again).problems.join()).toContain('ran although it was killed');
    });
    it('finds that it is stopped although only a copy was killed', () => {
      expect(judge(dead('200', () => undefined)).problems.join()).toContain('100 ran it');
    });
    it('accepts that one was killed that ran after the last look only', () => {
      expect(judge(dead('200', () => undefined, 5_000_000)).problems).toEqual([]);
    });
    it('finds that it is stopped although nobody was killed', () => {
      const log = dead('100', () => undefined).replace('killed 1000 100 900000\n', '');
      expect(judge(log).problems.join()).toContain('nobody killed it');
    });
  });
});

function swap(numbers: readonly number[]): (line: string) => string {
  return (line) =>
    line.startsWith('fetched') ? fetched(numbers.map((number) => record(number))) : line;
}

function damaged(number: number): Buffer {
  const bytes = Buffer.from(record(number));
  bytes[60] = 'x'.charCodeAt(0);
  return bytes;
}
