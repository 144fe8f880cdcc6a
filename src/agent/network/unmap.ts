import type { DatapathSupervisor } from './datapath-supervisor.ts';
import { anchoredSettings } from './mapping.ts';
import type { RegistryService } from './registry-service.ts';

/**
 * No QEMU runs the guest here any more. A site that anchors its address says where it is instead, or that it is
 * nowhere; any other place forgets it.
 */
export async function unmapGuest(
  guestId: string,
  parts: {
    readonly registry: RegistryService;
    readonly datapath: DatapathSupervisor;
    readonly self: string;
  },
): Promise<void> {
  const record = parts.registry.list().find((candidate) => candidate.guestId === guestId);
  if (record === undefined) await parts.datapath.removeGuest(guestId);
  else await parts.datapath.ensureGuest(anchoredSettings(record, parts.self));
}
