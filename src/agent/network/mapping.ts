/** What the datapath of this place has to know about a guest. Pure. */
import type { GuestSettings } from '../../datapath/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { HomeRecord } from '../../mobility/index.ts';

/** A guest whose QEMU is here: running (`held` false), or arriving and not to be given packets yet. */
export function localSettings(
  spec: GuestSpec,
  at: {
    readonly epoch: number;
    readonly self: string;
    readonly socket: string;
    readonly held: boolean;
  },
): GuestSettings {
  return {
    guestId: spec.id,
    network: spec.network,
    mac: spec.abi.mac,
    epoch: at.epoch,
    location: { kind: 'local' },
    ...anchorOf(spec.home, at.self),
    port: { socket: at.socket, held: at.held },
  };
}

/** An arriving guest, which is still at `from` under `epoch`: its port is readied, and packets go on as before. */
export function arrivingSettings(
  spec: GuestSpec,
  at: {
    readonly epoch: number;
    readonly self: string;
    readonly socket: string;
    readonly from: string;
  },
): GuestSettings {
  return {
    ...localSettings(spec, { ...at, held: true }),
    location: spec.home === at.self ? { kind: 'peer', peer: at.from } : { kind: 'none' },
  };
}

/** A guest whose home address this site anchors and that is at another place, or nowhere. */
export function anchoredSettings(record: HomeRecord, self: string): GuestSettings {
  return {
    guestId: record.guestId,
    network: record.network,
    mac: record.mac,
    epoch: record.epoch,
    location: record.place === self ? { kind: 'none' } : { kind: 'peer', peer: record.place },
  };
}

/** A guest whose home is elsewhere and that has left this place. */
export function departedSettings(
  spec: GuestSpec,
  at: { readonly epoch: number; readonly self: string; readonly place: string },
): GuestSettings {
  return {
    guestId: spec.id,
    network: spec.network,
    mac: spec.abi.mac,
    epoch: at.epoch,
    location: { kind: 'peer', peer: at.place },
    ...anchorOf(spec.home, at.self),
  };
}

function anchorOf(home: string, self: string): { anchor?: string } {
  return home === self ? {} : { anchor: home };
}
