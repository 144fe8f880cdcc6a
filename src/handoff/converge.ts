/**
 * From when all has been sent once to the release. What has changed crosses in one pass, then QEMU is kept from making
 * others: a guest has pages that it changes all the time, and passes over these alone would fill any link, so that nothing
 * ever seems to be left. They would also starve the guest: QEMU makes four passes a millisecond, and each takes its big lock and,
 * under emulation, that of the guest's translation buffer. While the pass drains only little changes; if that is too much
 * for the pause, another follows.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { LinkRate } from './link-rate.ts';
import { initialResidue, type ResidueOptions } from './residue.ts';
import type { SourceDisks } from './source-disks.ts';
import { type MemoryLook, type SourceMemory, SWITCHES_BELOW_BYTES } from './source-memory.ts';
import { QUIET_COMPRESSION, swept, type UpkeepMeasure } from './standby-upkeep.ts';

/** Each of these counts, ms. */
const LOOK_EVERY_MS = 5;
/** A pass that takes the link so long has to drain before there is another, ms. */
const LONGEST_BURST_MS = 1_000;
/** With no more in flight than this, bytes, and than the link carries in a round trip, it is about to be idle. */
const DRAINED_BYTES = 2 * 1024;
/** While nothing is known of the link, bytes a second. */
const UNKNOWN_LINK = 128 * 1024;

/** Looks that may be waited for a guest that changes so much that QEMU is never there. */
const PATIENCE_LOOKS = 60;

export interface ConvergeParts {
  readonly memory: SourceMemory;
  readonly disks: SourceDisks;
  readonly rate: LinkRate;
  readonly rttMs: () => number | undefined;
  /** What the upkeep of a standby has found out. */
  readonly measure: UpkeepMeasure | undefined;
  readonly options: () => ResidueOptions;
  readonly onLook: (look: MemoryLook) => void;
}

interface Look {
  readonly passes: number;
  /** Bytes of memory. */
  readonly left: number;
  /** It may be released. */
  readonly done: boolean;
  /** It may be, when QEMU has sent most of what is left. */
  readonly nearly: boolean;
}

/**
 * Resolves when the residue may be released; QEMU's stream is shut then. Rejects with the signal's reason, and when the
 * guest does not run.
 */
export async function converge(parts: ConvergeParts, signal: AbortSignal): Promise<void> {
  const { memory, rate, onLook, disks } = parts;
  const { relay } = memory;
  let state = initialResidue;
  /** At which it could have been released, but for QEMU. */
  let looks = 0;
  /** Whether it may be released now, by what QEMU says. */
  const look = async (since: number): Promise<Look> => {
    signal.throwIfAborted();
    const { ram, disk, slowedBy } = await memory.look(disks);
    memory.measureFilled(disk);
    const nothing = { done: false, nearly: false };
    if (ram === undefined) return { passes: 0, left: Number.POSITIVE_INFINITY, ...nothing };
    const passes = ram['dirty-sync-count'];
    const left = ram.remaining;
    // Between bursts QEMU does not look: what it says before the next pass is as old as the last one.
    if (passes <= since) return { passes, left, ...nothing };
    const options = parts.options();
    const judged = memory.judge(state, ram, memory.queued(disk), options, parts.measure);
    state = judged.state;
    onLook({ ...judged.look, slowedBy });
    // A guest that runs on with its packets held is cut off for nothing: first QEMU has to be where it stops at once.
    const near = left <= SWITCHES_BELOW_BYTES || looks >= PATIENCE_LOOKS;
    const release = judged.look.verdict.action === 'release';
    if (release) looks += 1;
    const done = release && (near || !options.standby || options.urgent === true);
    return { passes, left, done, nearly: release && !done };
  };
  const compression = parts.measure?.compression ?? QUIET_COMPRESSION;
  for (;;) {
    const before = relay.wireBytes;
    const most = ((rate.bytesPerSecond ?? UNKNOWN_LINK) * LONGEST_BURST_MS) / 1000;
    const { passes: since } = await look(Number.POSITIVE_INFINITY);
    relay.gate.open();
    for (;;) {
      const { passes, left, done, nearly } = await look(since);
      if (done) {
        relay.gate.shut();
        return;
      }
      const sent = relay.wireBytes - before;
      const enough = swept(passes - since, left, rate.bytesPerSecond, compression);
      if ((enough && !nearly) || sent >= most) break;
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
    relay.gate.shut();
    for (;;) {
      const { done, nearly } = await look(since);
      if (done) return;
      if (nearly) break;
      const onTheWay = ((rate.bytesPerSecond ?? 0) * (parts.rttMs() ?? 0)) / 1000;
      if (relay.bytesPending <= Math.max(DRAINED_BYTES, onTheWay)) break;
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
  }
}
