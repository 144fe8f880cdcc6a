import type { Situation } from '../../src/link/index.ts';

/** Somebody uses a guest at home, on Wi-Fi and mains, and wants nothing in particular. */
export const situation: Situation = {
  guest: 'here',
  guestBusy: false,
  residueBytes: 1e6,
  arming: false,
  probes: { suspect: false },
  connections: [{ medium: 'wifi' }],
  metered: false,
  battery: undefined,
  lid: 'open',
  suspendInMs: undefined,
  shutdownInMs: undefined,
  personAt: 'here',
  wish: undefined,
};
