/** What the guests of one peer may take at this place: pure. */
import type { GuestSpec } from '../guest/spec.ts';
import type { AgentOptions } from './options.ts';

export type PeerQuota = AgentOptions['perPeer'];

/** Why one more guest of the peer is too much; undefined if it is not. `present`: its others here, those that stand by too. */
export function quotaProblem(
  spec: Pick<GuestSpec, 'abi'>,
  present: readonly Pick<GuestSpec, 'abi'>[],
  { guests, memoryMiB }: PeerQuota,
  { here, peer }: { readonly here: string; readonly peer: string },
): { readonly code: string; readonly message: string; readonly remedy: string } | undefined {
  const code = 'quota-reached';
  const remedy = `Disarm or bring back another guest, or raise the limit at ${here} (--peer-guests, --peer-memory)`;
  if (guests !== undefined && present.length >= guests)
    return { code, remedy, message: `${here} takes ${guests} guests of ${peer} at most` };
  const used = present.reduce((sum, { abi }) => sum + abi.memoryMiB, 0);
  if (memoryMiB !== undefined && used + spec.abi.memoryMiB > memoryMiB)
    return {
      code,
      remedy,
      message: `${here} gives the guests of ${peer} ${memoryMiB} MiB of memory, and ${used} MiB are taken`,
    };
  return undefined;
}
