import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type ConvergeParts, converge } from '../../src/handoff/converge.ts';
import { Gate } from '../../src/handoff/gate.ts';
import { LinkRate } from '../../src/handoff/link-rate.ts';
import { initialResidue } from '../../src/handoff/residue.ts';

interface Qemu {
  readonly leftBytes: number;
  /** Bytes of the relay that are not acknowledged, at each look. */
  readonly pending: readonly number[];
  /** The residue is small enough from this look on. */
  readonly smallFrom: number;
}

/** A guest that stood by, whose QEMU makes a pass at each look while its stream is read. */
function standby({ leftBytes, pending, smallFrom }: Qemu) {
  const gate = new Gate();
  const passed: Buffer[] = [];
  gate.on('data', (chunk: Buffer) => passed.push(chunk));
  let looks = 0;
  let judged = 0;
  const ram = () => ({ 'dirty-sync-count': looks, remaining: leftBytes });
  const memory = {
    relay: {
      gate,
      wireBytes: 0,
      get bytesPending() {
        return pending[Math.min(looks, pending.length - 1)] ?? 0;
      },
    },
    look: () => {
      looks += 1;
      return Promise.resolve({ ram: ram(), disk: {}, slowedBy: 0 });
    },
    measureFilled: () => {},
    queued: () => 0,
    judge: () => {
      judged += 1;
      const action = judged >= smallFrom ? 'release' : 'wait';
      return { state: initialResidue, look: { verdict: { action } } };
    },
  };
  const parts: ConvergeParts = {
    memory: memory as unknown as ConvergeParts['memory'],
    disks: {} as ConvergeParts['disks'],
    rate: new LinkRate(),
    rttMs: () => 50,
    measure: { dirtyBytesPerSecond: 0, compression: 0.25 },
    options: () => ({ insist: false, standby: true }),
    onLook: () => {},
  };
  return { parts, gate, passed };
}

test.each<[string, Qemu]>([
  ['at the first look', { leftBytes: 4_096, pending: [0], smallFrom: 1 }],
  [
    'while a pass drains',
    { leftBytes: 4_096, pending: [90_000, 90_000, 90_000, 90_000, 90_000, 0], smallFrom: 4 },
  ],
])(
  'what may be released %s is not read on: its hottest pages would cross again and again',
  async (_when, qemu) => {
    const { parts, gate, passed } = standby(qemu);
    await converge(parts, new AbortController().signal);
    gate.write(Buffer.alloc(4_096));
    await sleep(5);
    expect(passed).toEqual([]);
  },
);
