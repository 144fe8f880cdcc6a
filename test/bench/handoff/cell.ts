/** One cell: a fresh lab, a guest with its load, the move, and what it was like. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Evidence } from '../../demo/evidence.ts';
import { computeFigures } from '../../demo/figures.ts';
import { Lab } from '../../lab/index.ts';
import { type Case, type Cell, FILLED_MIB, LOADS, MEMORY_MIB } from './cases.ts';
import type { Mover, MoverOptions, StartedGuest } from './mover.ts';
import { order } from './orders.ts';
import { PlainMover } from './plain-mover.ts';
import { notConverged, type Result, tenth, type Upkeep } from './results.ts';
import { SojournMover } from './sojourn-mover.ts';
import { observe, upkeepBetween } from './upkeep.ts';
import { VirshMover } from './virsh-mover.ts';
import { watchMove } from './watch.ts';

/** Arming happens while the link is good: it has this rate then, and the round trip of its case. */
export const GOOD_LINK_MBIT = 100;

/** The guest boots, fills its memory and starts its load within this. */
const LOAD_DEADLINE_MS = 240_000;
/** After the load has begun, and after the link has changed, before the upkeep is measured. */
const SETTLE_MS = 5000;

export interface CellOptions {
  readonly limitMs: number;
  /** Folder for the evidence; undefined: it goes with the cell. */
  readonly evidence: string | undefined;
  /** The command line of the guest, for the methods that are not Sojourn. */
  readonly argv: readonly string[];
  readonly signal: AbortSignal;
  /** Tells what is being done. */
  readonly tell: (text: string) => void;
}

interface Context extends MoverOptions {
  readonly cell: Cell;
  readonly mover: Mover;
  readonly tell: (text: string) => void;
}

/** Throws when anything but the time was the trouble. */
export async function runCell(cell: Cell, options: CellOptions): Promise<Result> {
  const { limitMs, tell } = options;
  const link = way(cell.case, cell.method === 'armed' ? GOOD_LINK_MBIT : cell.case.mbit);
  const lab = await Lab.create({ up: link, down: link });
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  try {
    const evidence = new Evidence(options.evidence ?? mkdtempSync(join(lab.directory, 'e')));
    const base = { lab, evidence, signal, limitMs };
    const mover = moverOf(cell, base, options.argv);
    try {
      const result = await measure({ ...base, cell, mover, tell });
      writeFileSync(evidence.path('result.json'), `${JSON.stringify(result)}\n`);
      return result;
    } finally {
      mover.collect?.();
    }
  } finally {
    over.abort(new Error('the cell is over'));
    await lab.close();
  }
}

async function measure(context: Context): Promise<Result> {
  const { lab, evidence, mover, cell, tell } = context;
  tell('boot');
  const { address, argv } = await mover.start();
  noteGuest(evidence, { address, argv });
  const { load, mbit } = cell.case;
  tell(`fill ${FILLED_MIB} MiB of memory, then the load: ${load}`);
  const orders = [`fill ${FILLED_MIB}`, ...LOADS[load], 'filled'];
  await order(lab.correspondent, address, orders, LOAD_DEADLINE_MS);
  const upkeep = mover.arm === undefined ? undefined : await armed(context);
  const outcome = await watchMove({ ...context, address, mbit });
  if (outcome.kind === 'late') return notConverged(cell, outcome.leftBytes, upkeep);
  // The places' logs are part of what the figures are computed from.
  mover.collect?.();
  const [figures] = computeFigures(evidence.directory).handoffs;
  if (figures === undefined) throw new Error('the evidence tells of no move');
  if (!figures.diskRecordsOk) throw new Error('the records on the guest’s disk are not in order');
  if (!Number.isFinite(figures.blackoutMs)) throw new Error('the guest did not answer any more');
  return {
    ...cell,
    triggerToRunningMs: tenth(figures.triggerToRunningMs),
    blackoutMs: tenth(figures.blackoutMs),
    packetsLost: figures.packetsLost,
    tcpBroken: figures.tcpBroken,
    bytesAfterTrigger: figures.bytesOnLink,
    upkeepKBps: upkeep === undefined ? null : tenth(upkeep.upkeepKBps),
    upkeepCpuPct: upkeep === undefined ? null : tenth(upkeep.upkeepCpuPct),
  };
}

/** Arms over a good link, which becomes that of the case then, as in real life. */
async function armed({ lab, evidence, mover, cell, signal, tell }: Context): Promise<Upkeep> {
  await sleep(SETTLE_MS, undefined, { signal });
  tell('the guest unarmed');
  const unarmed = await observe(lab, signal);
  tell(`arm at ${GOOD_LINK_MBIT} Mbit/s`);
  await mover.arm?.();
  await lab.link.set(way(cell.case, cell.case.mbit));
  await sleep(SETTLE_MS, undefined, { signal });
  tell('the guest armed, on the link of its case');
  const upkeep = await observe(lab, signal);
  evidence.event('upkeep', { unarmed, armed: upkeep });
  await mover.noteStatus?.();
  return upkeepBetween(unarmed, upkeep);
}

function way({ rttMs }: Case, mbit: number) {
  return { rateBitsPerSecond: mbit * 1e6, delayMs: rttMs / 2 };
}

function moverOf({ method }: Cell, options: MoverOptions, argv: readonly string[]): Mover {
  switch (method) {
    case 'plain':
      return new PlainMover(options, argv);
    case 'virsh':
      return new VirshMover(options, argv);
    case 'cold':
    case 'armed':
      return new SojournMover(options, method);
  }
}

/** As the demo notes its guest, which test/demo/recompute.ts reads. */
function noteGuest(evidence: Evidence, { address, argv }: StartedGuest): void {
  evidence.commandLine('device', 'start', argv);
  evidence.event('guest', { memoryMiB: MEMORY_MIB, hoa4: address, hoa6: null });
}
