import { describe, expect, it } from 'vitest';
import { loadTraces, type Trace } from '../../src/link/index.ts';
import { parseOptions } from './options.ts';
import { emulatedLink, longestOutage } from './trace-link.ts';

async function shipped(): Promise<Trace> {
  const [trace] = await loadTraces(parseOptions(['--trace'])?.trace ?? '');
  if (trace === undefined) throw new Error('the demo has no recording');
  return trace;
}

describe('the recording of the demo', () => {
  it('begins and ends with a link, and loses it for more than 10 s', async () => {
    const trace = await shipped();
    const link = emulatedLink(trace);
    expect([link[0], link.at(-1)].map((one) => one?.set.state)).toEqual(['up', 'up']);
    const outage = longestOutage(trace);
    expect((outage?.toMs ?? 0) - (outage?.fromMs ?? 0)).toBeGreaterThan(10_000);
  });

  it('is emulated while it is heard: a second is played before its mean is known', async () => {
    const trace = await shipped();
    expect(
      emulatedLink(trace)
        .slice(0, 3)
        .map(({ atMs }) => atMs),
    ).toEqual([0, 0, 1000]);
  });
});

it('a recording without traffic carries a share of its bit rate, by band', () => {
  const row = (frequencyMhz: number, txRateMbps: number, atMs: number) => ({
    ...{ startMs: atMs, durationMs: 1000 },
    sample: { atMs, medium: 'wifi' as const, connected: true, frequencyMhz, txRateMbps },
  });
  const rows = [row(2437, 10, 0), row(5180, 10, 1000), row(5180, 0, 2000)];
  const rates = emulatedLink({ id: 'x', format: 'sojourn', rows }).map(
    ({ set }) => set.rateBitsPerSecond,
  );
  expect(rates).toEqual([3.4e6, 5.6e6, 20e3].map((rate) => expect.closeTo(rate, 0)));
});

describe('the option', () => {
  it.each([
    [['--trace'], /walk-out-and-back/],
    [['--trace', '--json'], /walk-out-and-back/],
    [['--trace', 'mine.jsonl'], /^mine\.jsonl$/],
  ])('%s names a recording', (argv, expected) => {
    expect(parseOptions(argv)?.trace).toMatch(expected);
  });

  it.each([[['--trace', '--link', '20M']], [['--trace', '--keep']]])(
    '%s contradict one another',
    (argv) => {
      expect(() => parseOptions(argv)).toThrow('A recording has its own link');
    },
  );
});
