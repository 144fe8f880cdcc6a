/**
 * How two devices that have never met come to trust one another's keys: people compare six digits on both screens.
 * Pure: `step(state, event)`.
 *
 *                      COMMIT                  REVEAL                    yes, and CONFIRM
 *   committing -----------------> revealing ------------> comparing ----------------------> concluding
 *   (COMMIT sent)                (REVEAL sent)          (code is shown)                    (DONE sent)  | DONE
 *        |                            |                      |                                  |       v
 *        +----------- REFUSE, no, time over, connection lost, message out of order ----------> failed  paired
 *
 *   commitment = SHA-256("sojourn nearby commitment 1" || role || binding || own id || other id || nonce)
 *   code       = SHA-256("sojourn nearby code 1" || binding || ids of initiator, responder || nonces of both) mod 10^6
 *
 * It is the numeric comparison of Bluetooth (Core 5.4, vol 2 part H, 7.2.1) and the short authentication string of ZRTP
 * (RFC 6189, 4.4.1.1): neither side shows its nonce before it has the other's commitment, so somebody in between, who has a
 * key of its own toward each, must choose both of its nonces blindly, and both screens show the same with a probability of
 * 10^-6 a try. Ids are the SHA-256 of the public keys that TLS has proved; `binding` is of this one TLS connection (RFC 8446,
 * 7.5), so what was recorded on another is of no use. No clock is part of it: each side counts its own time down.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { PlaceInfo } from '../hello.ts';
import type { NearbyMessage, RefusalReason } from './messages.ts';

export const NONCE_BYTES = 32;
export const CODE_DIGITS = 6;

export type Role = 'initiator' | 'responder';

/** What is the same through a whole attempt. */
export interface Meeting {
  readonly role: Role;
  /** Place ids, proven by TLS. */
  readonly self: string;
  readonly peer: string;
  /** Exported from the TLS connection: the same at both ends, and on no other connection. */
  readonly binding: Buffer;
  /** Fresh and random, `NONCE_BYTES`. */
  readonly nonce: Buffer;
}

export type ComparisonState =
  | { readonly kind: 'committing' }
  | { readonly kind: 'revealing'; readonly place: PlaceInfo; readonly commitment: string }
  | {
      readonly kind: 'comparing';
      readonly place: PlaceInfo;
      readonly code: string;
      /** A person here, or there, has said that the codes are the same. */
      readonly here: boolean;
      readonly there: boolean;
    }
  | { readonly kind: 'concluding'; readonly place: PlaceInfo }
  | { readonly kind: 'paired'; readonly place: PlaceInfo; readonly listens: Listens }
  | { readonly kind: 'failed'; readonly reason: FailureReason };

/** Where the other side can be dialled from now on; null when it dials us. */
export type Listens = Extract<NearbyMessage, { type: 'done' }>['listens'];

export type FailureReason =
  /** A person here said no, or left. */
  | 'refused-here'
  /** A person there said no, or left. */
  | 'refused-there'
  | 'codes-differ-here'
  | 'codes-differ-there'
  | 'timed-out'
  | 'timed-out-there'
  /** What it showed is not what it had committed itself to: somebody is in between. */
  | 'commitment-broken'
  | 'out-of-order'
  | 'connection-lost'
  | 'busy-there'
  | 'too-many-tries-there';

export type ComparisonEvent =
  | { readonly type: 'message'; readonly message: NearbyMessage }
  /** A person has looked at both codes. */
  | { readonly type: 'answer'; readonly same: boolean }
  | { readonly type: 'cancelled' }
  | { readonly type: 'time-over' }
  | { readonly type: 'connection-lost' };

export interface ComparisonStep {
  readonly state: ComparisonState;
  readonly send: readonly NearbyMessage[];
}

/** The first step; `place` is what this side calls itself. */
export function beginComparison(meeting: Meeting, place: PlaceInfo): ComparisonStep {
  const { role, self, peer, nonce, binding } = meeting;
  const commitment = commitmentOf(role, self, peer, binding, nonce);
  return {
    state: { kind: 'committing' },
    send: [{ type: 'commit', version: 1, place, commitment }],
  };
}

/** `listens`: told to the other side in the end. */
export function stepComparison(
  meeting: Meeting,
  listens: Listens,
  state: ComparisonState,
  event: ComparisonEvent,
): ComparisonStep {
  if (state.kind === 'paired' || state.kind === 'failed') return { state, send: [] };
  switch (event.type) {
    case 'message':
      return onMessage(meeting, listens, state, event.message);
    case 'answer':
      if (!event.same) return fail('codes-differ-here', 'codes-differ');
      // Nobody can have compared what was not shown.
      if (state.kind !== 'comparing' || state.here) return { state, send: [] };
      return agree(listens, { ...state, here: true }, [{ type: 'confirm' }]);
    case 'cancelled':
      return fail('refused-here', 'refused');
    case 'time-over':
      return fail('timed-out', 'timed-out');
    case 'connection-lost':
      return fail('connection-lost');
  }
}

function onMessage(
  meeting: Meeting,
  listens: Listens,
  state: Exclude<ComparisonState, { kind: 'paired' | 'failed' }>,
  message: NearbyMessage,
): ComparisonStep {
  if (message.type === 'refuse') return { state: refused(message.reason), send: [] };
  switch (state.kind) {
    case 'committing': {
      if (message.type !== 'commit') return outOfOrder();
      const { place, commitment } = message;
      const nonce = meeting.nonce.toString('hex');
      return {
        state: { kind: 'revealing', place, commitment },
        send: [{ type: 'reveal', nonce }],
      };
    }
    case 'revealing': {
      if (message.type !== 'reveal') return outOfOrder();
      const nonce = Buffer.from(message.nonce, 'hex');
      const { role, self, peer, binding } = meeting;
      const other = role === 'initiator' ? 'responder' : 'initiator';
      const expected = commitmentOf(other, peer, self, binding, nonce);
      if (!timingSafeEqual(Buffer.from(expected, 'hex'), Buffer.from(state.commitment, 'hex')))
        return fail('commitment-broken', 'protocol');
      const code = codeOf(meeting, nonce);
      const { place } = state;
      return { state: { kind: 'comparing', place, code, here: false, there: false }, send: [] };
    }
    case 'comparing':
      if (message.type !== 'confirm' || state.there) return outOfOrder();
      return agree(listens, { ...state, there: true }, []);
    case 'concluding':
      if (message.type !== 'done') return outOfOrder();
      return {
        state: { kind: 'paired', place: state.place, listens: message.listens },
        send: [],
      };
  }
}

function agree(
  listens: Listens,
  state: Extract<ComparisonState, { kind: 'comparing' }>,
  send: readonly NearbyMessage[],
): ComparisonStep {
  if (!state.here || !state.there) return { state, send };
  return {
    state: { kind: 'concluding', place: state.place },
    send: [...send, { type: 'done', listens }],
  };
}

function fail(reason: FailureReason, tell?: RefusalReason): ComparisonStep {
  return {
    state: { kind: 'failed', reason },
    send: tell === undefined ? [] : [{ type: 'refuse', reason: tell }],
  };
}

function outOfOrder(): ComparisonStep {
  return fail('out-of-order', 'protocol');
}

const TOLD: Readonly<Record<RefusalReason, FailureReason>> = {
  refused: 'refused-there',
  'codes-differ': 'codes-differ-there',
  'timed-out': 'timed-out-there',
  protocol: 'out-of-order',
  busy: 'busy-there',
  'too-many-tries': 'too-many-tries-there',
};

function refused(reason: RefusalReason): ComparisonState {
  return { kind: 'failed', reason: TOLD[reason] };
}

/** Hex. Role and order of the ids keep a commitment from being sent back to whom it came from. */
export function commitmentOf(
  role: Role,
  own: string,
  other: string,
  binding: Buffer,
  nonce: Buffer,
): string {
  return createHash('sha256')
    .update(`sojourn nearby commitment 1 ${role} ${own} ${other} ${binding.length} `)
    .update(binding)
    .update(nonce)
    .digest('hex');
}

/** Six digits, leading zeros included. */
function codeOf({ role, self, peer, binding, nonce }: Meeting, theirs: Buffer): string {
  const initiates = role === 'initiator';
  const ids = initiates ? `${self} ${peer}` : `${peer} ${self}`;
  const nonces = initiates ? [nonce, theirs] : [theirs, nonce];
  const digest = createHash('sha256')
    .update(`sojourn nearby code 1 ${ids} ${binding.length} `)
    .update(binding)
    .update(Buffer.concat(nonces))
    .digest();
  // 64 bits: what the modulus favours is below 10^-13.
  const number = digest.readBigUInt64BE(0) % 10n ** BigInt(CODE_DIGITS);
  return number.toString().padStart(CODE_DIGITS, '0');
}
