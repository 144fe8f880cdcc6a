/**
 * Whether QEMU can live-migrate a guest, as data: the first row that fits decides. Told at creation, so that nobody
 * learns of it when the link is about to go.
 */

import { type Architecture, compareVersions, type QemuVersion } from './probe.ts';
import type { Accelerator } from './spec.ts';

interface Row {
  readonly accelerator: Accelerator;
  readonly architecture: Architecture | 'any';
  /** Versions this row speaks of: from (inclusive). */
  readonly from?: QemuVersion;
  /** Why not; absent: it can. A whole sentence without a full stop. */
  readonly obstacle?: string;
}

const ROWS: readonly Row[] = [
  { accelerator: 'tcg', architecture: 'any', from: [9, 2, 0] },
  { accelerator: 'kvm', architecture: 'x86_64', from: [9, 2, 0] },
  {
    accelerator: 'kvm',
    architecture: 'aarch64',
    obstacle:
      'ARM guests under KVM take the CPU of their host, and only an identical host could take them over',
  },
  {
    // whpx_init_vcpu() in target/i386/whpx/whpx-all.c adds a migration blocker to every guest.
    accelerator: 'whpx',
    architecture: 'any',
    obstacle: 'QEMU blocks live migration under WHPX, the accelerator of Windows',
  },
  {
    accelerator: 'hvf',
    architecture: 'any',
    obstacle: 'live migration under HVF, the accelerator of macOS, has not been shown to work',
  },
];

export type Migratability =
  | { readonly migratable: true }
  | { readonly migratable: false; readonly obstacle: string };

export function migratability(
  architecture: Architecture,
  accelerator: Accelerator,
  version: QemuVersion,
): Migratability {
  const row = ROWS.find(
    (candidate) =>
      candidate.accelerator === accelerator &&
      (candidate.architecture === 'any' || candidate.architecture === architecture) &&
      (candidate.from === undefined || compareVersions(version, candidate.from) >= 0),
  );
  if (row === undefined) {
    return {
      migratable: false,
      obstacle: `QEMU ${version.join('.')} is not known to migrate ${architecture} guests under ${accelerator}`,
    };
  }
  return row.obstacle === undefined
    ? { migratable: true }
    : { migratable: false, obstacle: row.obstacle };
}
