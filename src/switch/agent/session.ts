/** One controller or tool at the switch: its role, what it wants to hear, and its requests. */
import type { Duplex } from 'node:stream';
import type { SojournError } from '../../common/index.ts';
import {
  type AsyncConfig,
  type Clock,
  type Envelope,
  type FlowRemoved,
  type KeepalivePolicy,
  type Message,
  MultipartAssembler,
  type MultipartRequest,
  type MultipartRequestBody,
  NO_GENERATION,
  OpenFlowConnection,
  openFlowError,
  type PortStatus,
  type RoleClaim,
} from '../../openflow/index.ts';
import type { OpenFlowDatapath, PacketInEvent } from '../openflow-api.ts';
import { DEFAULT_ASYNC, wants } from './async-events.ts';
import type { Election, HeldRole } from './roles.ts';

/** Answers that a peer does not read, above which no more of its requests are served, bytes. */
const PAUSE_BYTES = 512 * 1024;
/** Packets and events that a peer does not read, above which it misses them, bytes. */
const DROP_BYTES = 256 * 1024;
/** The answer to one dump of every flow fits (100,000 flows of IPv6 addresses take 20 MB). */
const CLOSE_BYTES = 128 * 1024 * 1024;
/** Table features in parts. */
const REQUEST_ASSEMBLY = { concurrent: 4, bytes: 1024 * 1024 };

export interface SessionHost {
  readonly datapath: OpenFlowDatapath;
  readonly clock: Clock;
  readonly keepalive: KeepalivePolicy;
  /** @throws OpenFlowError as `claimRole`. Sets the roles of all sessions. */
  claim(session: Session, claim: RoleClaim): Election;
  /** Flows may have other timeouts than before. */
  flowsChanged(): void;
  ready(session: Session): void;
  closed(session: Session, reason: SojournError): void;
  /** What a peer refused of ours. */
  refused(session: Session, envelope: Envelope): void;
}

/** Messages that a slave may not send (6.3.4). */
const CHANGES: ReadonlySet<Message['type']> = new Set([
  'packet-out',
  'flow-mod',
  'group-mod',
  'port-mod',
  'table-mod',
  'meter-mod',
]);

export class Session {
  /** Where the peer is, for logs. */
  readonly peer: string;
  role: HeldRole = 'equal';
  /** Packets and events that were left out because the peer did not keep up. */
  missed = 0;
  readonly #host: SessionHost;
  readonly #connection: OpenFlowConnection;
  readonly #assembler = new MultipartAssembler<MultipartRequestBody>('request', REQUEST_ASSEMBLY);
  #async: AsyncConfig = DEFAULT_ASYNC;
  #missSendLength: number;
  #listening: boolean;

  /**
   * @param tool who connects by himself hears of nothing until he says so, by set-config with a length, set-async or a role: most
   *   tools ask one thing and would take an event for the answer. The same as in Open vSwitch.
   */
  constructor(host: SessionHost, stream: Duplex, peer: string, tool: boolean) {
    this.#host = host;
    this.peer = peer;
    this.#listening = !tool;
    this.#missSendLength = tool ? 0 : host.datapath.config().missSendLength;
    this.#connection = new OpenFlowConnection({
      stream,
      clock: host.clock,
      keepalive: host.keepalive,
      limits: { pauseBytes: PAUSE_BYTES, dropBytes: DROP_BYTES, closeBytes: CLOSE_BYTES },
      handler: {
        ready: () => host.ready(this),
        message: (envelope, length) => this.#serve(envelope, length),
        closed: (reason) => host.closed(this, reason),
      },
    });
  }

  get isReady(): boolean {
    return this.#connection.isReady;
  }

  close(): void {
    this.#connection.close();
  }

  packetIn(event: PacketInEvent): void {
    if (!this.#hears({ kind: 'packetIn', reason: event.reason })) return;
    this.#offer(() => this.#host.datapath.packetInMessage(event, this.#missSendLength));
  }

  portStatus(message: PortStatus): void {
    if (this.#hears({ kind: 'portStatus', reason: message.reason })) this.#offer(() => message);
  }

  flowRemoved(message: FlowRemoved): void {
    if (this.#hears({ kind: 'flowRemoved', reason: message.reason })) this.#offer(() => message);
  }

  #hears(event: Parameters<typeof wants>[2]): boolean {
    return this.isReady && this.#listening && wants(this.#async, this.role, event);
  }

  /** Made only when there is room, as a packet-in may take a buffer of the switch. */
  #offer(message: () => Message): void {
    if (this.#connection.unsent > DROP_BYTES || !this.#connection.offer(message())) this.missed++;
  }

  #serve({ xid, message }: Envelope, length: number): void {
    const { datapath } = this.#host;
    if (this.role === 'slave' && CHANGES.has(message.type)) throw isSlave(message.type);
    switch (message.type) {
      case 'features-request':
        this.#connection.send(datapath.features(), xid);
        break;
      case 'get-config-request': {
        const { flags } = datapath.config();
        const missSendLength = this.#missSendLength;
        this.#connection.send({ type: 'get-config-reply', flags, missSendLength }, xid);
        break;
      }
      case 'set-config':
        // Fragment handling is everybody's, so a slave has no say in it.
        if (this.role !== 'slave') datapath.setConfig(message);
        this.#missSendLength = message.missSendLength;
        if (message.missSendLength > 0) this.#listening = true;
        break;
      case 'packet-out':
        datapath.packetOut(message);
        break;
      case 'flow-mod':
        datapath.flowMod(message);
        this.#host.flowsChanged();
        break;
      case 'group-mod':
        datapath.groupMod(message);
        break;
      case 'meter-mod':
        datapath.meterMod(message);
        break;
      case 'port-mod':
        datapath.portMod(message);
        break;
      case 'table-mod':
        datapath.tableMod(message);
        break;
      case 'multipart-request':
        this.#multipart(xid, message, length);
        break;
      case 'barrier-request':
        this.#connection.send({ type: 'barrier-reply' }, xid);
        break;
      case 'queue-get-config-request': {
        const { port } = message;
        const queues = datapath.queues(port);
        this.#connection.send({ type: 'queue-get-config-reply', port, queues }, xid);
        break;
      }
      case 'role-request': {
        const { generation = NO_GENERATION } = this.#host.claim(this, message);
        if (message.role !== 'nochange') this.#listening = true;
        this.#connection.send({ type: 'role-reply', role: this.role, generation }, xid);
        break;
      }
      case 'get-async-request':
        this.#connection.send({ type: 'get-async-reply', ...this.#async }, xid);
        break;
      case 'set-async': {
        const { packetIn, portStatus, flowRemoved } = message;
        this.#async = { packetIn, portStatus, flowRemoved };
        this.#listening = true;
        break;
      }
      case 'experimenter':
        throw openFlowError('bad-request', 'bad-experimenter', `${message.experimenter}`);
      case 'error':
        this.#host.refused(this, { xid, message });
        break;
      default:
        throw openFlowError('bad-request', 'bad-type', `a ${message.type} to a switch`);
    }
  }

  #multipart(xid: number, { more, body }: MultipartRequest, length: number): void {
    const whole = this.#assembler.add(xid, more, body, length);
    if (whole === undefined) return;
    if (whole.kind === 'table-features' && whole.tables.length > 0 && this.role === 'slave')
      throw isSlave('table-features');
    if (whole.kind === 'experimenter')
      throw openFlowError('bad-request', 'bad-experimenter', `${whole.experimenter}`);
    this.#connection.reply(xid, this.#host.datapath.multipart(whole));
  }
}

function isSlave(what: string) {
  return openFlowError('bad-request', 'is-slave', `a ${what} of a slave`);
}
