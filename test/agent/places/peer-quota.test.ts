import { expect, test } from 'vitest';
import { quotaProblem } from '../../../src/agent/places/peer-quota.ts';
import type { Limits } from '../../../src/agent/receiving/index.ts';
import { tinySpec } from '../../lab/tiny-guest.ts';

const MIB = 1024 * 1024;

const guest = (memoryMiB: number) => {
  const spec = tinySpec();
  spec.abi.memoryMiB = memoryMiB;
  spec.overlayLimitBytes = 64 * MIB;
  return spec;
};
const names = { here: 'cloud', peer: 'laptop' };

test.each<[string, number[], Partial<Limits>, RegExp | undefined]>([
  ['no limit', [1024, 4096], {}, undefined],
  ['room for one more', [512], { guests: 2 }, undefined],
  ['as many as may be', [512, 512], { guests: 2 }, /2 guests of laptop/],
  ['just enough memory', [512], { memoryMiB: 1024 }, undefined],
  ['just enough disk', [512], { diskBytes: 128 * MIB }, undefined],
  ['not enough disk', [512], { diskBytes: 127 * MIB }, /write 127 MiB, and 64 MiB/],
  ['not enough memory', [768], { memoryMiB: 1024 }, /768 MiB are taken/],
])('%s', (_name, present, quota, message) => {
  const limits = { guests: undefined, memoryMiB: undefined, diskBytes: undefined, ...quota };
  const problem = quotaProblem(guest(512), present.map(guest), limits, names);
  if (message === undefined) expect(problem).toBeUndefined();
  else expect(problem?.message).toMatch(message);
});
