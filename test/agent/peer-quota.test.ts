import { expect, test } from 'vitest';
import { type PeerQuota, quotaProblem } from '../../src/agent/peer-quota.ts';
import { tinySpec } from '../lab/tiny-guest.ts';

const guest = (memoryMiB: number) => {
  const spec = tinySpec();
  spec.abi.memoryMiB = memoryMiB;
  return spec;
};
const names = { here: 'cloud', peer: 'laptop' };

test.each<[string, number[], Partial<PeerQuota>, RegExp | undefined]>([
  ['no limit', [1024, 4096], {}, undefined],
  ['room for one more', [512], { guests: 2 }, undefined],
  ['as many as may be', [512, 512], { guests: 2 }, /2 guests of laptop/],
  ['just enough memory', [512], { memoryMiB: 1024 }, undefined],
  ['not enough memory', [768], { memoryMiB: 1024 }, /768 MiB are taken/],
])('%s', (_name, present, quota, message) => {
  const limits = { guests: undefined, memoryMiB: undefined, ...quota };
  const problem = quotaProblem(guest(512), present.map(guest), limits, names);
  if (message === undefined) expect(problem).toBeUndefined();
  else expect(problem?.message).toMatch(message);
});
