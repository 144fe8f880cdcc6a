/** Roles of several controllers (OpenFlow 1.3.5, 6.3.4 and 7.3.9). Pure. */
import { openFlowError, type Role, type RoleClaim } from '../../openflow/index.ts';

export type HeldRole = Exclude<Role, 'nochange'>;

/** Of all connections to one switch. */
export interface Election {
  /** Of the last accepted claim to be master or slave; none yet. */
  readonly generation?: bigint;
}

export interface Verdict {
  readonly election: Election;
  readonly role: HeldRole;
  /** Every other master becomes a slave. */
  readonly deposes: boolean;
}

/** @throws OpenFlowError role-request-failed/stale: the claim is older than one that was accepted. */
export function claimRole(election: Election, held: HeldRole, claim: RoleClaim): Verdict {
  const { role, generation } = claim;
  if (role === 'nochange') return { election, role: held, deposes: false };
  if (role === 'equal') return { election, role, deposes: false };
  // The distance is signed, so that generations may wrap.
  const { generation: last } = election;
  if (last !== undefined && BigInt.asIntN(64, generation - last) < 0n)
    throw openFlowError('role-request-failed', 'stale', `generation ${generation} after ${last}`);
  return { election: { generation }, role, deposes: role === 'master' };
}
