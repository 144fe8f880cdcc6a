/** What is measured: links, loads of the guest, and ways to move it. */

export const RATES_MBIT = [2, 5, 20, 100] as const;
export const ROUND_TRIPS_MS = [20, 50, 100] as const;

/** Orders to the guest's control service (resources/guest/services/control.c). */
export const LOADS = {
  idle: [],
  /** Random pages of a 64 MiB set get random content. */
  'memory-200KBps': ['dirty 200 64'],
  'memory-5MBps': ['dirty 5000 64'],
  'disk-1MBps': ['disk 1000'],
} as const satisfies Readonly<Record<string, readonly string[]>>;
export type Load = keyof typeof LOADS;

/**
 * `plain`: QEMU by hand as its documentation has it, default parameters, disk mirrored to the destination's NBD server.
 * `virsh`: `virsh migrate --live --p2p --copy-storage-all`. `cold`: sojourn handoff. `armed`: sojourn arm, then handoff.
 */
export const METHODS = ['plain', 'virsh', 'cold', 'armed'] as const;
export type Method = (typeof METHODS)[number];

export const MEMORY_MIB = 1024;
/** Written with random content before anything is measured; the guest's own memory and its load's come on top. */
export const FILLED_MIB = 500;
/** For what the guest writes to its disk. */
export const OVERLAY_LIMIT = '192M';

export interface Case {
  readonly mbit: number;
  readonly rttMs: number;
  readonly load: Load;
}

export interface Cell {
  readonly case: Case;
  readonly method: Method;
}

export interface Selection {
  readonly mbit: readonly number[];
  readonly rttMs: readonly number[];
  readonly load: readonly Load[];
  readonly method: readonly Method[];
}

export const EVERYTHING: Selection = {
  mbit: RATES_MBIT,
  rttMs: ROUND_TRIPS_MS,
  load: Object.keys(LOADS) as Load[],
  method: METHODS,
};

/** All methods of a case one after the other, so that a run that is broken off has comparable cells. */
export function cells(selection: Selection): Cell[] {
  return selection.mbit.flatMap((mbit) =>
    selection.rttMs.flatMap((rttMs) =>
      selection.load.flatMap((load) =>
        selection.method.map((method) => ({ case: { mbit, rttMs, load }, method })),
      ),
    ),
  );
}

/** `5mbit-50ms-idle-armed`: names a cell in the results file and its folder of evidence. */
export function cellName({ case: { mbit, rttMs, load }, method }: Cell): string {
  return `${mbit}mbit-${rttMs}ms-${load}-${method}`;
}
