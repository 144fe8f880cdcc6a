/** What the bench and its gateways have in common. */
/** Two hundred processes that start on a busy machine do not answer within seconds, and are not to be given up for that. */
export const KEEPALIVE = { idleMs: 60_000, deadMs: 60_000 };

export const PORTS = { uplink: 1, hosts: 2, guests: 3 } as const;

export type Question =
  /** The flows with a cookie (decimal). */
  | { readonly id: number; readonly type: 'flows'; readonly cookie: string; readonly mask: string }
  /** A frame from a host there (hexadecimal), and the destination with which it must leave by the uplink. */
  | {
      readonly id: number;
      readonly type: 'probe';
      readonly frame: string;
      readonly expect: string;
    };

export type Answer =
  | { readonly id: number; readonly flows: readonly string[]; readonly rss: number }
  | { readonly id: number; readonly delayMs: number };
