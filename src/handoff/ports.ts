/**
 * What a handoff needs from the rest of the program, declared by structure: the QMP client, the sessions of
 * the transport, the datapath's control, the ownership journal and the host that starts guests all fit as they are.
 */
import type { Duplex } from 'node:stream';
import type { GuestSpec } from '../guest/spec.ts';
import type { CallingSession } from '../transport/index.ts';
import type { OwnershipRecord } from './records.ts';
import type { Reason } from './source-machine.ts';

export interface QmpPortEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The one owner of a guest's QMP socket. A command's rejection says nothing about whether it took effect. */
export interface QmpPort {
  execute(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    options?: { readonly timeoutMs?: number },
  ): Promise<unknown>;
  executeOob(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    options?: { readonly timeoutMs?: number },
  ): Promise<unknown>;
  /** Returns how to stop listening. */
  on(event: string, listener: (event: QmpPortEvent) => void): () => void;
  waitFor(
    event: string,
    predicate?: (event: QmpPortEvent) => boolean,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<QmpPortEvent>;
  readonly isClosed: boolean;
  /** Resolves, never rejects, when QEMU has ended or the socket is gone. */
  readonly closed: Promise<unknown>;
}

/**
 * One ordered, flow-controlled stream of a session. `destroy(error)` resets it at both ends. It takes little
 * ahead of the link, so that what the guest's switchover has to wait for stays small.
 */
export type ChannelPort = Duplex & {
  readonly meta: unknown;
  /** Payload bytes that the peer's process has received. */
  readonly bytesAcked: number;
  /** Payload bytes accepted from the writer and not acknowledged yet. */
  readonly bytesPending: number;
};

/** A standing, authenticated session with one peer; it survives TCP connections. */
export interface SessionPort extends CallingSession {
  readonly peer: string;
  /** Smoothed round trip, milliseconds; 0 or undefined while unknown. */
  readonly rttMs: number | undefined;
  openChannel(kind: string, meta: Record<string, unknown>): ChannelPort;
  onChannel(kind: string, handler: (channel: ChannelPort) => void): unknown;
  /** Resolves when the session cannot be resumed any more. */
  readonly closed: Promise<unknown>;
}

/** The source's switch. All calls are idempotent; times are of the order of one millisecond. */
export interface SourceDatapathPort {
  /** Holds what arrives for the guest; returns when what was on its way to the guest has reached it. */
  beginSwitchover(request: { guestId: string; epoch: number }): Promise<void>;
  /** Delivers what was held to the guest here. */
  abortSwitchover(request: { guestId: string }): Promise<void>;
  /** The guest is at `to` from `epoch` on: what was held goes there, and what still arrives. */
  commitSwitchover(request: { guestId: string; epoch: number; to: string }): Promise<void>;
  /** The destination refused after a commit: the guest is here again, under a new epoch. */
  reclaim(request: { guestId: string; epoch: number }): Promise<void>;
}

export interface OwnershipJournalPort {
  /** Durable when it resolves. A rejected append may nevertheless have reached the disk. */
  append(record: OwnershipRecord): Promise<void>;
  /** All records of a handoff, oldest first. */
  recordsOf(handoffId: string): Promise<readonly OwnershipRecord[]>;
}

/** The guest at the source. */
export interface SourceGuestPort {
  readonly qmp: QmpPort;
  /** Ends the QEMU whose guest now runs elsewhere, and removes its overlays. Idempotent. */
  destroyCopy(): Promise<void>;
}

export interface IncomingRequest {
  readonly handoffId: string;
  /** The epoch under which the guest will run here. */
  readonly epoch: number;
  readonly from: string;
  readonly spec: GuestSpec;
  /** It may stand by for long before it comes. */
  readonly standby?: boolean;
  /** When it runs here it shall stand by at the place that it left. */
  readonly armBack?: boolean;
}

/** A QEMU with `-incoming defer -S`, its overlays empty, nothing configured yet. */
export interface IncomingGuest {
  readonly qmp: QmpPort;
  /** Private directory for the sockets of this handoff; its path must leave room for a socket name. */
  readonly directory: string;
}

/** The place that receives guests. */
export interface GuestHostPort {
  /** Starts QEMU for the spec. Throws a SojournError a person can act on; leaves nothing behind then. */
  prepareIncoming(request: IncomingRequest, signal: AbortSignal): Promise<IncomingGuest>;
  /**
   * The claim is on record: the guest is ours, and `cont` is next. Called in the pause, so it only marks state. Called again
   * when a recovery continues the guest. A claim is given back (`discard`) if the guest then provably never ran.
   */
  claimed(request: IncomingRequest, guest: IncomingGuest): void;
  /**
   * The guest runs: mapping, held packets, registry. Best effort: called once more after a failure, and whatever comes of
   * it the guest stays.
   */
  activated(request: IncomingRequest, guest: IncomingGuest): Promise<void>;
  /**
   * The guest is ours and does not run: `cont` failed, and nobody can say that it never ran. Its QEMU may still be there. Not
   * called when a recovery finds the QEMU gone: `recover` answers `owner-without-guest` then.
   */
  lost(request: IncomingRequest, reason: Reason): Promise<void>;
  /**
   * Ends QEMU and removes what `prepareIncoming` made. Idempotent; QEMU is gone when it resolves. After a failure it
   * is called again until it succeeds.
   */
  discard(handoffId: string, guestId: string): Promise<void>;
}

/** Milliseconds since 1970. */
export type Clock = () => number;

export interface LogPort {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}
