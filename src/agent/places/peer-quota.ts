/** What the guests of one peer may take at this place: pure. */
import type { GuestSpec } from '../../guest/spec.ts';
import type { Limits } from '../receiving/index.ts';

const MIB = 1024 * 1024;

/** Why one more guest of the peer is too much; undefined if it is not. `present`: its others here, those that stand by too. */
export function quotaProblem(
  spec: Pick<GuestSpec, 'abi' | 'overlayLimitBytes'>,
  present: readonly Pick<GuestSpec, 'abi' | 'overlayLimitBytes'>[],
  { guests, memoryMiB, diskBytes }: Limits,
  { here, peer }: { readonly here: string; readonly peer: string },
): { readonly code: string; readonly message: string; readonly remedy: string } | undefined {
  const code = 'quota-reached';
  const remedy = `Disarm or bring back another guest, or raise the limit with "sojourn receive --from ${peer}" at ${here}`;
  if (guests !== undefined && present.length >= guests)
    return { code, remedy, message: `${here} takes ${guests} guests of ${peer} at most` };
  const used = present.reduce((sum, { abi }) => sum + abi.memoryMiB, 0);
  if (memoryMiB !== undefined && used + spec.abi.memoryMiB > memoryMiB)
    return {
      code,
      remedy,
      message: `${here} gives the guests of ${peer} ${memoryMiB} MiB of memory, and ${used} MiB are taken`,
    };
  const written = present.reduce((sum, other) => sum + diskOf(other), 0);
  if (diskBytes !== undefined && written + diskOf(spec) > diskBytes)
    return {
      code,
      remedy,
      message: `${here} lets the guests of ${peer} write ${mebibytes(diskBytes)} MiB, and ${mebibytes(written)} MiB of that are given away`,
    };
  return undefined;
}

/** What the guest may write here, of all its disks. */
function diskOf({ abi, overlayLimitBytes }: Pick<GuestSpec, 'abi' | 'overlayLimitBytes'>): number {
  return abi.disks.length * overlayLimitBytes;
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / MIB);
}
