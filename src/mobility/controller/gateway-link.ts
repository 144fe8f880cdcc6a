/** The controller's end of a connection to one gateway: who it is, its flows, and changes of them. */
import type { Duplex } from 'node:stream';
import { SojournError } from '../../common/index.ts';
import {
  type Clock,
  type Envelope,
  formatMessage,
  GROUP,
  type KeepalivePolicy,
  OpenFlowConnection,
  OpenFlowError,
  type PacketInMessage,
  type PacketOut,
  PORT,
  TABLE,
} from '../../openflow/index.ts';
import { type Change, COOKIE, flowModOf, type InstalledFlow } from '../flows/index.ts';
import { answersBundle, bundleAdd, bundleControl } from './bundle.ts';

/** Changes that go into one bundle; more go one by one, so that the switch need not keep them all. */
const MAX_BUNDLE = 1024;
/** Messages between two looks at what the gateway has not taken yet. */
const MESSAGES_AT_ONCE = 256;
/** Refusals of one set of changes that are told; the others are counted. */
const MAX_REFUSALS = 16;
/** Errors of one connection that answer nothing and are told: a broken switch does not fill the log. */
const MAX_COMPLAINTS = 64;
const MISS_SEND_LENGTH = 0xffff;

export interface GatewayLinkOptions {
  readonly stream: Duplex;
  readonly clock: Clock;
  readonly keepalive?: KeepalivePolicy;
  /** Of the claim to be master. */
  readonly generation: bigint;
  readonly packetIn: (message: PacketInMessage) => void;
  /** An error that answers no change of ours. */
  readonly complaint: (text: string) => void;
  readonly closed: (reason: SojournError) => void;
}

/** What a gateway refused of one set of changes. */
interface Batch {
  readonly refusals: string[];
  /** Of its messages. */
  readonly xids: number[];
  count: number;
}

export class GatewayLink {
  readonly #options: GatewayLinkOptions;
  readonly #connection: OpenFlowConnection;
  readonly #greeted: Promise<void>;
  readonly #batches = new Map<number, Batch>();
  #bundles = false;
  #nextBundle = 1;
  #complaints = 0;
  #barrier: Promise<void> | undefined;

  constructor(options: GatewayLinkOptions) {
    this.#options = options;
    const greeted = Promise.withResolvers<void>();
    greeted.promise.catch(() => {});
    this.#greeted = greeted.promise;
    this.#connection = new OpenFlowConnection({
      stream: options.stream,
      clock: options.clock,
      ...(options.keepalive !== undefined && { keepalive: options.keepalive }),
      handler: {
        ready: () => greeted.resolve(),
        message: (envelope) => this.#message(envelope),
        closed: (reason) => {
          greeted.reject(reason);
          options.closed(reason);
        },
      },
    });
  }

  /** Whether changes are made all at once. */
  get bundles(): boolean {
    return this.#bundles;
  }

  /** @returns the datapath id. Rejects with SojournError. */
  async identify(): Promise<bigint> {
    await this.#greeted;
    const { datapathId } = await this.#connection.request(
      { type: 'features-request' },
      'features-reply',
    );
    return datapathId;
  }

  /** Becomes master, and finds out what the switch can do. Rejects with SojournError `gateway-role`. */
  async takeOver(): Promise<void> {
    const { generation } = this.#options;
    try {
      await this.#connection.request(
        { type: 'role-request', role: 'master', generation },
        'role-reply',
      );
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      throw new SojournError({
        kind: 'refused',
        code: 'gateway-role',
        message: `The switch has a newer controller: ${error.message}`,
        remedy: 'Run one controller only, on a machine whose clock is right',
        cause: error,
      });
    }
    this.#connection.send({ type: 'set-config', flags: 0, missSendLength: MISS_SEND_LENGTH });
    this.#bundles = await this.#offersBundles();
  }

  /** All flows of ours. */
  async readFlows(): Promise<InstalledFlow[]> {
    try {
      const { flows } = await this.#connection.multipart({
        kind: 'flow',
        table: TABLE.all,
        outPort: PORT.any,
        outGroup: GROUP.any,
        cookie: COOKIE.value,
        cookieMask: COOKIE.mask,
        match: {},
      });
      return [...flows];
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      throw refusedFlows({ refusals: [error.message], xids: [], count: 1 });
    }
  }

  /**
   * Makes changes in their order, in one step where the switch can; resolves when it says that all are done. Rejects with SojournError
   * `gateway-flows` when it refused some; what the others of these changes did then depends on the switch.
   * @param packet goes through the changed tables, without waiting for the answer.
   */
  async apply(changes: readonly Change[], packet?: Omit<PacketOut, 'type'>): Promise<void> {
    if (changes.length === 0) return;
    const bundled = this.#bundles && changes.length > 1 && changes.length <= MAX_BUNDLE;
    if (bundled && (await this.#applyAs('bundle', changes, packet)).count === 0) return;
    // What cannot be done at once can still be done but for what the switch refuses.
    const batch = await this.#applyAs('each', changes, bundled ? undefined : packet);
    if (batch.count > 0) throw refusedFlows(batch);
  }

  packetOut(message: Omit<PacketOut, 'type'>): void {
    this.#connection.send({ type: 'packet-out', ...message });
  }

  close(): void {
    this.#connection.close();
  }

  async #applyAs(
    how: 'bundle' | 'each',
    changes: readonly Change[],
    packet: Omit<PacketOut, 'type'> | undefined,
  ): Promise<Batch> {
    const batch: Batch = { refusals: [], xids: [], count: 0 };
    try {
      if (how === 'bundle') await this.#applyBundle(changes, batch, packet);
      else await this.#applyEach(changes, batch, packet);
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      refuse(batch, error.message);
    } finally {
      for (const xid of batch.xids) this.#batches.delete(xid);
    }
    return batch;
  }

  async #applyEach(
    changes: readonly Change[],
    batch: Batch,
    packet: Omit<PacketOut, 'type'> | undefined,
  ): Promise<void> {
    for (const [index, change] of changes.entries()) {
      const xid = this.#xidOf(batch);
      this.#connection.send(flowModOf(change), xid);
      if (index % MESSAGES_AT_ONCE === MESSAGES_AT_ONCE - 1) await this.#connection.drained();
    }
    if (packet === undefined) return this.#sharedBarrier();
    // Without a barrier before it the packet might overtake the changes (6.2).
    const barrier = this.#connection.barrier();
    this.packetOut(packet);
    await barrier;
  }

  /** Opened, filled and committed without waiting between; the answer to the commit says that it is done. */
  async #applyBundle(
    changes: readonly Change[],
    batch: Batch,
    packet: Omit<PacketOut, 'type'> | undefined,
  ): Promise<void> {
    const bundle = this.#newBundle();
    const opened = this.#connection.request(bundleControl(bundle, 'open'), 'experimenter');
    opened.catch(() => {});
    for (const change of changes) {
      const xid = this.#xidOf(batch);
      this.#connection.send(bundleAdd(bundle, xid, flowModOf(change)), xid);
    }
    const commit = bundleControl(bundle, 'commit');
    const committed = this.#connection.request(commit, 'experimenter');
    if (packet !== undefined) this.packetOut(packet);
    const answer = await committed;
    await opened;
    if (!answersBundle(answer, bundle, 'commit'))
      refuse(batch, 'the answer to a bundle is another');
  }

  async #offersBundles(): Promise<boolean> {
    const bundle = this.#newBundle();
    try {
      const open = bundleControl(bundle, 'open');
      const answer = await this.#connection.request(open, 'experimenter');
      await this.#connection.request(bundleControl(bundle, 'discard'), 'experimenter');
      return answersBundle(answer, bundle, 'open');
    } catch (error) {
      if (error instanceof OpenFlowError) return false;
      throw error;
    }
  }

  #newBundle(): number {
    const bundle = this.#nextBundle;
    this.#nextBundle = (this.#nextBundle % 0xffff_fffe) + 1;
    return bundle;
  }

  /** One barrier for all that is sent to this gateway in the same turn. */
  #sharedBarrier(): Promise<void> {
    this.#barrier ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#barrier = undefined;
        this.#connection.barrier().then(resolve, reject);
      });
    });
    return this.#barrier;
  }

  #message(envelope: Envelope): void {
    const { xid, message } = envelope;
    if (message.type === 'packet-in') this.#options.packetIn(message);
    else if (message.type === 'error') {
      const batch = this.#batches.get(xid);
      const text = formatMessage(envelope);
      if (batch !== undefined) refuse(batch, text);
      else if (this.#complaints++ < MAX_COMPLAINTS) this.#options.complaint(text);
    }
    // Ports and flows that come and go are read again when they matter.
  }

  #xidOf(batch: Batch): number {
    const xid = this.#connection.nextXid();
    batch.xids.push(xid);
    this.#batches.set(xid, batch);
    return xid;
  }
}

function refuse(batch: Batch, text: string): void {
  batch.count += 1;
  if (batch.refusals.length < MAX_REFUSALS) batch.refusals.push(text);
}

function refusedFlows({ refusals, count }: Batch): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'gateway-flows',
    message: `The switch refused ${count} changes of flows: ${refusals.slice(0, 3).join('; ')}`,
    remedy:
      'Look for ports that it does not have in the gateways file, or for what it does not support',
  });
}
