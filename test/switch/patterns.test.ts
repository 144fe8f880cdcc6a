import { describe, expect, it } from 'vitest';
import { readPatterns, runPattern } from './pattern-runner.ts';

const patterns = readPatterns(new URL('patterns/patterns.json.gz', import.meta.url));
const files = Map.groupBy(patterns, ({ file }) => file);

describe("the patterns of os-ken's switch tester", () => {
  it.each([...files])('%s', (_file, ofFile) => {
    const wrong = ofFile.flatMap((pattern) => {
      const what = runPattern(pattern);
      return what === undefined ? [] : [`${pattern.name}: ${what}`];
    });
    expect(wrong).toEqual([]);
  });
});
