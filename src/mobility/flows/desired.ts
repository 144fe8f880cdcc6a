/** A flow that a gateway should have, and how it is known again: by its cookie, and by table, priority and match. */
import type { Instruction, Match } from '../../openflow/index.ts';

/**
 * When a flow is installed in a change: first what receives packets of a guest where they arrive (delivery, source
 * addresses restored), which is of no effect until something leads there; then what leads packets to and from a place.
 */
export type Stage = 'receive' | 'steer';

export interface DesiredFlow {
  /** Of `TABLES`. */
  readonly table: number;
  readonly priority: number;
  readonly match: Match;
  /** Empty to drop. */
  readonly instructions: readonly Instruction[];
  /** `cookieOf`. */
  readonly cookie: bigint;
  readonly stage: Stage;
  /** Seconds; left out for never. */
  readonly idleTimeout?: number;
}

/** The pipeline of every gateway; what each table does stands in `compile.ts`. */
export const TABLES = { ingress: 0, route: 1, translate: 2, send: 3 } as const;

/*
 *  63        48 47     40 39       32 31              0
 * | 'SJ' 534a  |   0     | purpose   | guest's number  |
 */
const OURS = 0x534an << 48n;
/** Flows of ours have `COOKIE.value` where this mask has ones; nobody else's are touched. */
export const COOKIE = { value: OURS, mask: 0xffffn << 48n } as const;

/** What a flow is for. `service` is for those who add flows of their own (`GatewayServices`). */
export const PURPOSE = {
  gateway: 1,
  delivery: 2,
  translation: 3,
  tunnel: 4,
  miss: 5,
  service: 6,
} as const;
export type Purpose = (typeof PURPOSE)[keyof typeof PURPOSE];

/** @param number of the guest; 0 for what belongs to none. */
export function cookieOf(purpose: Purpose, number = 0): bigint {
  return OURS | (BigInt(purpose) << 32n) | BigInt(number);
}

/** What a cookie of ours says; undefined for somebody else's. */
export function readCookie(
  cookie: bigint,
): { readonly purpose: number; readonly number: number } | undefined {
  if ((cookie & COOKIE.mask) !== COOKIE.value) return undefined;
  return { purpose: Number((cookie >> 32n) & 0xffn), number: Number(cookie & 0xffff_ffffn) };
}
