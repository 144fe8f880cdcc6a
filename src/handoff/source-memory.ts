/** The guest's memory at the source: QEMU's migration through the relay, looked at until it may switch over. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SojournError } from '../common/index.ts';
import { chooseCompression } from './compression.ts';
import type { LinkRate } from './link-rate.ts';
import { SourceMemoryRelay } from './memory-relay.ts';
import { MEMORY_CHANNEL } from './messages.ts';
import type { QmpPort, SessionPort } from './ports.ts';
import { capabilities, type MigrateInfo, migrateInfo, statusInfo } from './qemu-names.ts';
import {
  initialResidue,
  judgeResidue,
  type ResidueOptions,
  type ResidueState,
  type ResidueVerdict,
} from './residue.ts';
import type { DiskProgress, SourceDisks } from './source-disks.ts';

/** `max-bandwidth` that is none, bytes a second: the relay's backpressure is the limit. */
const UNLIMITED_BYTES_PER_SECOND = 2 ** 40;
/**
 * QEMU looks for what was changed when it has less left than the product of these: 1 byte, so that no page crosses twice in one
 * pass. A look while pages are left is worse than a waste: QEMU's emulator (TCG) may then not notice writes to them
 * (`physical_memory_sync_dirty_bitmap` makes them noticed again only where it finds a page that was not known before), and
 * the destination keeps an old page. Seen with QEMU 10.0 as one lost page in some 300 handoffs.
 */
const SWEEPING = { 'downtime-limit': 1, 'avail-switchover-bandwidth': 1_000 };
/** With no more left, bytes, QEMU stops a guest that stood by at once when it is released. */
export const SWITCHES_BELOW_BYTES = 64 * 1024;
/** For the short time from the trigger of a standby on. */
const SWEEPING_LOOSELY = {
  'downtime-limit': 1,
  'avail-switchover-bandwidth': SWITCHES_BELOW_BYTES * 1000,
};
/** QEMU takes new limits into account every 100 ms (BUFFER_DELAY), ms. */
const LIMITS_COUNT_MS = 110;
/** The largest downtime limit there is, ms. */
const DOWNTIME_RELEASED_MS = 2_000_000;
/** A look costs QEMU about 0.1 ms. */
const LOOK_EVERY_MS = 100;
/** With so little left, bytes, the first pass is about to end, and it is looked at this often, ms. */
const NEAR_BYTES = 16 * 1024 * 1024;
const LOOK_NEAR_MS = 20;
/** QEMU that made no pass for so long waits for the gate, ms. */
const STILL_MS = 10;
/** QEMU notices the end of its stream before the reason for it arrives, ms. */
const REASON_MS = 200;
/** Of auto-converge, where it is on: a tenth of the guest's time more each time QEMU sees that it does not converge. */
const THROTTLE = {
  'cpu-throttle-initial': 20,
  'cpu-throttle-increment': 10,
  'max-cpu-throttle': 90,
  'throttle-trigger-threshold': 50,
};
/** The link waits for us when at so many looks in a row this little was queued, and so much had been taken from QEMU, bytes. */
const STARVED_LOOKS = 3;
const STARVED_BYTES = 32 * 1024;
const STARVING_BYTES = 2 * 1024 * 1024;
/** Span over which the compression of the stream is measured: this much of QEMU's stream, bytes. */
const COMPRESSION_SPAN_BYTES = 4 * 1024 * 1024;

export interface MemoryLook {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly bytesPerSecond: number | undefined;
  readonly verdict: ResidueVerdict;
  /** By how much QEMU slows the guest down, percent; 0 when it does not. */
  readonly slowedBy: number;
}

export class SourceMemory {
  readonly relay: SourceMemoryRelay;
  readonly #qmp: QmpPort;
  readonly #rate: LinkRate;
  #completing = false;
  #releasable = false;
  #compression = 1;
  #lookedRaw = 0;
  #starved = 0;
  #markRaw = 0;
  #markWire = 0;

  private constructor(qmp: QmpPort, relay: SourceMemoryRelay, rate: LinkRate) {
    this.#qmp = qmp;
    this.relay = relay;
    this.#rate = rate;
  }

  /** Opens the relay; `begin` starts the migration. `rate` may have been measured on the disks already. */
  static async open(
    qmp: QmpPort,
    session: SessionPort,
    handoffId: string,
    directory: string,
    rate: LinkRate,
    onBroken: (error: unknown) => void,
  ): Promise<SourceMemory> {
    const channel = session.openChannel(MEMORY_CHANNEL, { handoffId });
    const path = join(directory, 'memory.sock');
    const relay = await SourceMemoryRelay.listen(path, channel, onBroken);
    const memory = new SourceMemory(qmp, relay, rate);
    memory.#watch(onBroken);
    return memory;
  }

  /** `slowGuest`: QEMU slows the guest down, step by step, where it changes more than is carried. */
  async begin(directory: string, { slowGuest = false } = {}): Promise<void> {
    const qmp = this.#qmp;
    await qmp.execute(
      'migrate-set-capabilities',
      capabilities({
        'return-path': true,
        'switchover-ack': true,
        'pause-before-switchover': true,
        // Its one event per pass is worth nothing here and costs much (DESIGN, "Facts measured").
        events: false,
        'auto-converge': slowGuest,
      }),
    );
    await qmp.execute('migrate-set-parameters', {
      'max-bandwidth': UNLIMITED_BYTES_PER_SECOND,
      ...SWEEPING,
      ...THROTTLE,
    });
    await qmp.execute('migrate', { uri: `unix:${join(directory, 'memory.sock')}` });
  }

  /** All has been sent once, and the destination has said that it is ready. Rejects with the signal's reason. */
  async fill(
    disks: SourceDisks,
    mayFlow: () => boolean,
    onLook: (look: MemoryLook) => void,
    signal: AbortSignal,
  ): Promise<void> {
    let state = initialResidue;
    let ready = false;
    this.relay.hold.acknowledged.then(() => {
      ready = true;
    });
    for (;;) {
      signal.throwIfAborted();
      if (mayFlow()) this.relay.gate.open();
      else this.relay.gate.shut();
      const { ram, disk, slowedBy } = await this.look(disks);
      if (ram !== undefined) {
        this.#measure(disk.ackedBytes, this.queued(disk));
        const judged = this.judge(state, ram, this.queued(disk), { insist: false });
        state = judged.state;
        onLook({ ...judged.look, slowedBy });
        if (ready && ram['dirty-sync-count'] > 1) return;
      }
      // Once all has been sent QEMU makes pass after pass, at the guest's expense.
      const near = ram !== undefined && ram.remaining < NEAR_BYTES;
      await delay(near ? LOOK_NEAR_MS : LOOK_EVERY_MS, undefined, { signal });
    }
  }

  /**
   * For a release that was not expected: from now on QEMU switches over as soon as it has the acknowledgement and the gate is
   * open, whatever is left. The gate is shut, and the guest runs, until QEMU has noticed. Rejects with the signal's reason.
   */
  async awaitRelease(disks: SourceDisks, signal: AbortSignal): Promise<void> {
    this.relay.gate.shut();
    // With the new limits it would look while pages are left, if it still made passes.
    for (let passes = -1; ; await delay(STILL_MS, undefined, { signal })) {
      const { ram } = await this.look(disks);
      if (ram?.['dirty-sync-count'] === passes) break;
      passes = ram?.['dirty-sync-count'] ?? passes;
    }
    await this.armRelease();
    await delay(LIMITS_COUNT_MS, undefined, { signal });
  }

  /**
   * What QEMU says of memory and disks now. Rejects when somebody else has paused the guest: QEMU does not wait for the release
   * then, and whoever continues it is refused.
   */
  async look(disks: SourceDisks): Promise<{
    readonly ram: MigrateInfo['ram'];
    readonly disk: DiskProgress;
    readonly slowedBy: number;
  }> {
    const [info, disk, { running, status }] = await Promise.all([
      this.#query(),
      disks.progress(),
      this.#qmp.execute('query-status').then((answer) => statusInfo.parse(answer)),
    ]);
    if (!running) throw paused(status);
    return { ram: info.ram, disk, slowedBy: info['cpu-throttle-percentage'] ?? 0 };
  }

  /** For what the link carries, where it is busy only now and then. */
  measureFilled(disk: DiskProgress): void {
    const acked = this.relay.bytesAcked + disk.ackedBytes;
    this.#rate.filled(performance.now(), acked, this.queued(disk));
  }

  /** Bytes on the way to the destination, memory and disks. */
  queued(disk: DiskProgress): number {
    return this.relay.bytesPending + disk.backlogBytes;
  }

  /** `measured` instead of what QEMU and this stream say of themselves, where that is known better. */
  judge(
    state: ResidueState,
    ram: NonNullable<MigrateInfo['ram']>,
    queuedBytes: number,
    options: ResidueOptions,
    measured?: { readonly dirtyBytesPerSecond: number; readonly compression: number },
  ): { readonly state: ResidueState; readonly look: MemoryLook } {
    const bytesPerSecond = this.#rate.bytesPerSecond;
    const sample = {
      at: performance.now(),
      remainingBytes: ram.remaining,
      passes: ram['dirty-sync-count'],
      dirtyBytesPerSecond:
        measured?.dirtyBytesPerSecond ?? ram['dirty-pages-rate'] * ram['page-size'],
      queuedBytes,
      compression: measured?.compression ?? this.#compression,
      bytesPerSecond,
    };
    const judged = judgeResidue(state, sample, options);
    const look = {
      bytesDone: ram.transferred,
      bytesTotal: ram.transferred + ram.remaining,
      bytesPerSecond,
      verdict: judged.verdict,
      slowedBy: 0,
    };
    return { state: judged.state, look };
  }

  /** The release of what stands by is near. It counts as soon as the gate opens: QEMU has waited for that longer than for its limits. */
  async sweepLoosely(): Promise<void> {
    await this.#qmp.execute('migrate-set-parameters', SWEEPING_LOOSELY);
  }

  /** From now on QEMU switches over as soon as it has the acknowledgement, whatever is left. The guest still runs. */
  async armRelease(): Promise<void> {
    if (this.#releasable) return;
    this.#releasable = true;
    await this.#qmp.execute('migrate-set-parameters', {
      'downtime-limit': DOWNTIME_RELEASED_MS,
      'avail-switchover-bandwidth': UNLIMITED_BYTES_PER_SECOND,
    });
  }

  /** In the pause: the last pages and the device state go out. Resolves when QEMU cannot resume by itself any more. */
  async complete(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#completing = true;
    await this.#qmp.execute('migrate-continue', { state: 'pre-switchover' });
    await this.relay.qemuClosed;
    // The stream is closed by a handler that runs right after the status was set, or before it by a break.
    for (;;) {
      const info = await this.#query();
      if (info.status === 'completed') return;
      if (info.status !== 'device' && info.status !== 'active') throw failed(info);
      await delay(1);
    }
  }

  /** Off where the link is faster than the compressor, and better where it is slow. */
  #adaptCompression(): void {
    const { relay } = this;
    const raw = relay.rawBytes;
    const starving = relay.bytesPending < STARVED_BYTES && raw - this.#lookedRaw > STARVING_BYTES;
    this.#lookedRaw = raw;
    this.#starved = starving ? this.#starved + 1 : 0;
    relay.compressor.compression = chooseCompression(relay.compressor.compression, {
      linkBytesPerSecond: this.#rate.bytesPerSecond,
      starved: this.#starved >= STARVED_LOOKS,
    });
  }

  #measure(diskAcked: number, queuedBytes: number): void {
    this.#adaptCompression();
    const wire = this.relay.wireBytes;
    const raw = this.relay.rawBytes;
    if (raw - this.#markRaw >= COMPRESSION_SPAN_BYTES || this.#markRaw === 0) {
      if (raw > this.#markRaw) {
        this.#compression = Math.min(1, (wire - this.#markWire) / (raw - this.#markRaw));
      }
      this.#markRaw = raw;
      this.#markWire = wire;
    }
    this.#rate.sample(performance.now(), this.relay.bytesAcked + diskAcked, queuedBytes);
  }

  async #query(): Promise<MigrateInfo> {
    return migrateInfo.parse(await this.#qmp.execute('query-migrate'));
  }

  /** QEMU may end its stream only when it was told to complete. */
  #watch(onBroken: (error: unknown) => void): void {
    this.relay.qemuClosed
      .then(async () => {
        if (this.#completing) return;
        const info = await this.#query();
        // The other place knows better why, and its word is on the way.
        await delay(REASON_MS);
        throw failed(info);
      })
      .catch(onBroken);
  }
}

function paused(status: string): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'guest-paused',
    message: `The guest was paused during the handoff (QEMU says ${status})`,
    remedy: 'See "sojourn status" for why, let it go on, and try again',
  });
}

function failed(info: MigrateInfo): SojournError {
  return new SojournError({
    kind: 'internal',
    code: 'migration-failed',
    message: `QEMU ended the migration (${info.status}): ${info['error-desc'] ?? 'no reason given'}`,
    remedy: 'Try the handoff again; the guest is unharmed',
  });
}
