/** The answer to `status`. */
import type { Switch } from '../switch/index.ts';
import type { Problem, Status } from './control.ts';
import type { GuestAttachment } from './guest-attachment.ts';
import type { InstalledFlows } from './installed-flows.ts';
import { PURPOSE } from './program/index.ts';
import { settled } from './switchover-state.ts';
import type { TapAdapter } from './tap-adapter.ts';
import type { ListenAddress, Tunnels } from './tunnels.ts';

export interface StatusParts {
  readonly place: string | undefined;
  readonly listening: ListenAddress | undefined;
  readonly tap: TapAdapter | undefined;
  readonly tunnels: Tunnels['all'];
  readonly guests: readonly GuestAttachment[];
  readonly owner: Switch;
  readonly flows: InstalledFlows;
  readonly drops: Readonly<Record<string, number>>;
  readonly problems: readonly Problem[];
}

export function buildStatus(parts: StatusParts): Status {
  const { place, listening, tap, owner, flows } = parts;
  return {
    pid: process.pid,
    ...(place !== undefined && { place }),
    ...(listening !== undefined && { listening }),
    ...(tap !== undefined && { tap: tapStatus(tap) }),
    tunnels: parts.tunnels.map(tunnelStatus),
    guests: parts.guests.map(guestStatus),
    drops: {
      ...owner.drops,
      spoofed: flows.packets(PURPOSE.spoofed),
      ignored: flows.packets(PURPOSE.ignored),
      unreachable: flows.packets(PURPOSE.unreachable),
      ...parts.drops,
    },
    cache: { hits: owner.cacheHits, misses: owner.cacheMisses, flows: flows.size },
    problems: [...parts.problems, ...(tap?.problems ?? [])],
  };
}

function tapStatus(tap: TapAdapter): NonNullable<Status['tap']> {
  return {
    name: tap.settings.name,
    connected: tap.port.connected,
    ...(tap.pid !== undefined && { adapterPid: tap.pid }),
    counters: { ...tap.port.counters },
  };
}

function tunnelStatus({ port, lastError }: Tunnels['all'][number]): Status['tunnels'][number] {
  return {
    peer: port.peer,
    connected: port.connected,
    ...(port.rttMs !== undefined && { rttMs: port.rttMs }),
    counters: { ...port.counters },
    ...(port.window !== undefined && { window: port.window }),
    ...(lastError !== undefined && !port.connected && { lastError }),
  };
}

function guestStatus(guest: GuestAttachment): Status['guests'][number] {
  const { epoch, place } = settled(guest.state);
  const { port } = guest;
  return {
    guestId: guest.guestId,
    epoch,
    location: place,
    state: guest.state.kind,
    held: guest.heldPackets,
    ...(port !== undefined && {
      port: {
        socket: port.socketPath,
        connected: port.connected,
        connections: port.connections,
        held: guest.gated,
        counters: { ...port.counters },
      },
    }),
  };
}
