/** Keeps what stands by at the destination fresh, burst by burst (`upkeep.ts`), until it is triggered. */
import { setTimeout as delay } from 'node:timers/promises';
import type { LinkRate } from './link-rate.ts';
import type { Clock } from './ports.ts';
import type { SourceDisks } from './source-disks.ts';
import type { SourceMemory } from './source-memory.ts';
import type { StandbyOptions } from './source-options.ts';
import { pauseBeforeBurst, type StandbySnapshot } from './upkeep.ts';

/** Looks at QEMU during a burst, ms: soon at first, since a quiet guest is done with it within a few. */
const FIRST_LOOK_MS = 2;
const LAST_LOOK_MS = 250;
/** Looks at what is acknowledged cost nothing, ms. */
const ACK_LOOK_MS = 5;
/** A pass that leaves no more behind has sent all: bytes, and what the link carries in this time, ms. */
const NEARLY_NOTHING_BYTES = 64 * 1024;
const NEARLY_NOTHING_MS = 30;
/** Figures are averages over about so many bursts. */
const REMEMBERED = 4;
/** The first fill ends with a burst that has sent all, or after this, ms: for a guest that changes more than the link carries. */
const CATCH_UP_MS = 30_000;
/** What compression is measured on, bytes of memory. */
const MIN_MEASURED_BYTES = 64 * 1024;
/** Below it the frames of the stream are what is measured. */
const LEAST_COMPRESSION = 0.02;
/** Before anything is measured: as memory of a quiet guest compresses. */
export const QUIET_COMPRESSION = 0.25;

export interface UpkeepOptions {
  readonly memory: SourceMemory;
  readonly disks: SourceDisks;
  readonly rate: LinkRate;
  readonly standby: StandbyOptions;
  readonly rttMs: () => number | undefined;
  readonly now: Clock;
}

/** What the guest changes, bytes of memory a second, and bytes on the link per byte of memory. */
export interface UpkeepMeasure {
  readonly dirtyBytesPerSecond: number;
  readonly compression: number;
}

/**
 * Whether all that had been changed before the burst has been sent: QEMU has begun its second sweep since, or its first and
 * little is left. A guest changes some pages all the time, so that there is always something left. `passes`: since the burst began.
 */
export function swept(
  passes: number,
  remainingBytes: number,
  bytesPerSecond: number | undefined,
  compression: number,
): boolean {
  const carried = ((bytesPerSecond ?? 0) * NEARLY_NOTHING_MS) / 1000;
  const little = Math.max(NEARLY_NOTHING_BYTES, carried / Math.max(compression, LEAST_COMPRESSION));
  return passes > 1 || (passes === 1 && remainingBytes <= little);
}

interface Burst {
  readonly complete: boolean;
  readonly remainingBytes: number;
  readonly backlogBytes: number;
  /** Of memory, as QEMU counts it. */
  readonly sentBytes: number;
  readonly wireBytes: number;
  readonly tookMs: number;
}

export class StandbyUpkeep {
  readonly #options: UpkeepOptions;
  #compression = QUIET_COMPRESSION;
  #dirty: number | undefined;
  #upkeep: number | undefined;
  #sent = 0;
  #wire = 0;
  #endedAt = performance.now();
  #freshAt: number;
  #caughtUp = false;
  /** Memory that was left at the end of the last burst, bytes. */
  #left = 0;

  constructor(options: UpkeepOptions) {
    this.#options = options;
    this.#freshAt = options.now();
  }

  /** Resolves when it is triggered. Rejects with the reason of `signal`. */
  async run(signal: AbortSignal): Promise<UpkeepMeasure> {
    const { memory, disks, rate, standby } = this.#options;
    const { trigger, budget } = standby;
    const woken = AbortSignal.any([trigger, signal]);
    const { ram } = await memory.look(disks);
    this.#sent = ram?.['normal-bytes'] ?? 0;
    this.#left = ram?.remaining ?? 0;
    this.#wire = this.#options.memory.relay.wireBytes;
    while (!woken.aborted) {
      const allowed = budget(rate.bytesPerSecond);
      const burst = await this.#burst(woken);
      if (burst === undefined) break;
      this.#account(burst);
      const pause = pauseBeforeBurst(allowed, {
        bytes: burst.wireBytes,
        tookMs: burst.tookMs,
        dirtyOnLink: (this.#dirty ?? 0) * this.#compression,
        linkBytesPerSecond: rate.bytesPerSecond,
      });
      await delay(pause, undefined, { signal: woken }).catch(() => undefined);
    }
    signal.throwIfAborted();
    return { dirtyBytesPerSecond: this.#dirty ?? 0, compression: this.#compression };
  }

  /** undefined when it was interrupted. */
  async #burst(woken: AbortSignal): Promise<Burst | undefined> {
    const { memory, disks, rate, standby } = this.#options;
    const { relay } = memory;
    const began = performance.now();
    const wireBefore = relay.wireBytes;
    let first: number | undefined;
    let complete = false;
    let at = this.#options.now();
    relay.gate.open();
    for (let wait = FIRST_LOOK_MS; !woken.aborted; wait = Math.min(2 * wait, LAST_LOOK_MS)) {
      await delay(wait, undefined, { signal: woken }).catch(() => undefined);
      if (woken.aborted) break;
      at = this.#options.now();
      const { ram, disk } = await memory.look(disks);
      memory.measureFilled(disk);
      if (ram === undefined) continue;
      const passes = ram['dirty-sync-count'];
      first ??= passes;
      const bytesPerSecond = rate.bytesPerSecond;
      complete = swept(passes - first, ram.remaining, bytesPerSecond, this.#compression);
      // Asked again at every look: the link may just have become slow.
      const most = standby.budget(bytesPerSecond).burstBytes;
      if (complete || (this.#caughtUp && relay.wireBytes - wireBefore >= most)) break;
      if (!this.#caughtUp && performance.now() - began >= CATCH_UP_MS) break;
    }
    if (woken.aborted) return undefined;
    relay.gate.shut();
    const burstBytes = relay.wireBytes - wireBefore;
    const shut = performance.now();
    while (relay.bytesPending > 0) {
      const wait = performance.now() - shut < LAST_LOOK_MS ? ACK_LOOK_MS : LAST_LOOK_MS;
      await delay(wait, undefined, { signal: woken }).catch(() => undefined);
      if (woken.aborted) return undefined;
    }
    const tookMs = performance.now() - began;
    this.#options.rate.burst(burstBytes, tookMs, this.#options.rttMs() ?? 0);
    if (complete) this.#freshAt = at;
    const { ram, disk } = await memory.look(disks);
    const sent = ram?.['normal-bytes'] ?? this.#sent;
    const burst = {
      complete,
      remainingBytes: ram?.remaining ?? 0,
      backlogBytes: disk.backlogBytes,
      sentBytes: sent - this.#sent,
      wireBytes: relay.wireBytes - this.#wire,
      tookMs,
    };
    this.#sent = sent;
    this.#wire = relay.wireBytes;
    return burst;
  }

  #account(burst: Burst): void {
    const { standby, rate, rttMs, now } = this.#options;
    const ended = performance.now();
    const seconds = Math.max(1, ended - this.#endedAt) / 1000;
    this.#endedAt = ended;
    const average = (before: number | undefined, value: number) =>
      before === undefined ? value : before + (value - before) / REMEMBERED;
    // What was left over from before is not what it changes.
    const changed = Math.max(0, burst.sentBytes + burst.remainingBytes - this.#left);
    this.#left = burst.remainingBytes;
    if (this.#caughtUp) this.#dirty = average(this.#dirty, changed / seconds);
    if (this.#caughtUp) this.#upkeep = average(this.#upkeep, burst.wireBytes / seconds);
    this.#caughtUp = true;
    if (burst.sentBytes >= MIN_MEASURED_BYTES)
      this.#compression = average(
        this.#compression,
        Math.min(1, burst.wireBytes / burst.sentBytes),
      );
    const snapshot: StandbySnapshot = {
      at: now(),
      freshAt: this.#freshAt,
      remainingBytes: burst.remainingBytes,
      backlogBytes: burst.backlogBytes,
      dirtyBytesPerSecond: this.#dirty ?? 0,
      compression: this.#compression,
      upkeepBytesPerSecond: this.#upkeep ?? 0,
      linkBytesPerSecond: rate.bytesPerSecond,
      rttMs: rttMs(),
    };
    standby.onFresh(snapshot);
  }
}
