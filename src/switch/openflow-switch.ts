/** A switch as OpenFlow 1.3.5 sees it: its messages do to the pipeline what the specification says. */
import {
  type Action,
  CAPABILITY,
  CONTROLLER_LENGTH,
  type FeaturesReply,
  type FlowMod,
  FRAGMENTS,
  type GroupMod,
  type Match,
  type MeterMod,
  type MultipartReplyBody,
  type MultipartRequestBody,
  NO_BUFFER,
  openFlowError,
  type PacketInMessage,
  type PacketOut,
  type PacketQueue,
  type PortMod,
  type PortStatus,
  QUEUE_ALL,
  type SwitchConfig,
  type SwitchDescription,
  TABLE,
  TABLE_CONFIG_DEPRECATED,
} from '../openflow/index.ts';
import { readField, WORD } from './fields.ts';
import { FlowChanges, flowActions } from './flow-changes.ts';
import { checkBucketActions, checkPacketOutActions } from './instructions.ts';
import { isIngressPort } from './match.ts';
import type { OpenFlowDatapath, OpenFlowListener, PacketInEvent } from './openflow-api.ts';
import { BUFFER_COUNT, PacketBuffers } from './packet-buffers.ts';
import { type PacketIn, Switch, TABLE_COUNT } from './pipeline.ts';
import { answer, checkQueue } from './statistics.ts';
import { compileActions } from './steps.ts';

/** `miss_send_len` until a controller sets another (7.3.2). */
const DEFAULT_MISS_SEND_LENGTH = 128;

export interface OpenFlowSwitchOptions {
  readonly datapathId: bigint;
  /** What `dump-desc` shows; the project and nothing else when left out. */
  readonly description?: Partial<SwitchDescription>;
  /** Monotonic milliseconds. */
  readonly clock?: () => number;
}

export class OpenFlowSwitch implements OpenFlowDatapath {
  /** The pipeline; ports are attached to it. */
  readonly engine: Switch;
  readonly #options: OpenFlowSwitchOptions;
  readonly #flows: FlowChanges;
  readonly #buffers = new PacketBuffers();
  readonly #listeners = new Set<OpenFlowListener>();

  constructor(options: OpenFlowSwitchOptions) {
    this.#options = options;
    this.engine = new Switch((event) => this.#packetIn(event), {
      transparent: true,
      ...(options.clock !== undefined && { clock: options.clock }),
    });
    this.engine.onPortChange = (reason, entry) =>
      this.#tell({ type: 'port-status', reason, port: entry.describe() });
    this.#flows = new FlowChanges(this.engine, (message) => {
      for (const listener of this.#listeners) listener.flowRemoved(message);
    });
  }

  listen(listener: OpenFlowListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  features(): FeaturesReply {
    const { flowStats, tableStats, portStats, groupStats } = CAPABILITY;
    return {
      type: 'features-reply',
      datapathId: this.#options.datapathId,
      buffers: BUFFER_COUNT,
      tables: TABLE_COUNT,
      auxiliary: 0,
      capabilities: flowStats | tableStats | portStats | groupStats,
    };
  }

  config(): SwitchConfig {
    return { flags: this.engine.fragments, missSendLength: DEFAULT_MISS_SEND_LENGTH };
  }

  setConfig({ flags }: SwitchConfig): void {
    if (flags !== FRAGMENTS.normal && flags !== FRAGMENTS.drop)
      throw openFlowError('switch-config-failed', 'bad-flags', `flags ${flags}`);
    this.engine.fragments = flags;
  }

  flowMod(mod: FlowMod): void {
    const buffered = mod.buffer !== NO_BUFFER && !mod.command.startsWith('delete');
    if (buffered) this.#buffers.peek(mod.buffer);
    this.#flows.apply(mod);
    if (!buffered) return;
    const { frame, inPort } = this.#buffers.take(mod.buffer);
    this.engine.inject(frame, inPort);
  }

  groupMod(mod: GroupMod): void {
    const { groups } = this.engine;
    if (mod.command === 'delete') {
      const gone = groups.remove(mod.group);
      if (gone.size === 0) return;
      const ids = new Set([...gone].map(({ id }) => id));
      this.#flows.removeWhere(
        ({ instructions }) =>
          [...flowActions(instructions)].some((a) => a.type === 'group' && ids.has(a.group)),
        'group-delete',
      );
    } else {
      // That a group is not there yet is another error than that it leads to itself.
      const others = (actions: readonly Action[]) =>
        actions.filter((action) => action.type !== 'group' || action.group !== mod.group);
      for (const { actions } of mod.buckets)
        checkBucketActions(others(actions), (id) => groups.get(id));
      if (mod.command === 'add') groups.add(mod, this.engine.now);
      else groups.modify(mod);
    }
    this.engine.resourcesChanged();
  }

  meterMod(mod: MeterMod): void {
    const { meters, now } = this.engine;
    if (mod.command === 'add') meters.add(mod, now);
    else if (mod.command === 'modify') meters.modify(mod, now);
    else {
      const gone = meters.remove(mod.meter);
      this.#flows.removeWhere(
        ({ program }) => program.meter !== undefined && gone.has(program.meter),
        'delete',
      );
    }
    this.engine.resourcesChanged();
  }

  portMod(mod: PortMod): void {
    const entry = this.engine.ports.get(mod.port);
    if (entry === undefined) throw openFlowError('port-mod-failed', 'bad-port', `port ${mod.port}`);
    if (entry.configure(mod)) this.engine.portChanged(mod.port);
  }

  tableMod({ table, config }: { readonly table: number; readonly config: number }): void {
    if (table !== TABLE.all && table >= TABLE_COUNT)
      throw openFlowError('table-mod-failed', 'bad-table', `there is no table ${table}`);
    if ((config & ~TABLE_CONFIG_DEPRECATED) !== 0)
      throw openFlowError('table-mod-failed', 'bad-config', `bits 0x${config.toString(16)}`);
  }

  packetOut({ buffer, inPort, actions, data }: PacketOut): void {
    if (!isIngressPort(inPort))
      throw openFlowError('bad-request', 'bad-port', `a packet cannot come from port ${inPort}`);
    const groupOf = (id: number) => this.engine.groups.get(id);
    checkPacketOutActions(actions, groupOf);
    const frame = buffer === NO_BUFFER ? Buffer.from(data) : this.#buffers.take(buffer).frame;
    if (!this.engine.execute(frame, inPort, compileActions(actions, groupOf)))
      throw openFlowError('bad-request', 'bad-packet', `${frame.length} bytes are no frame`);
  }

  multipart(request: MultipartRequestBody): MultipartReplyBody {
    return answer(request, {
      owner: this.engine,
      flows: this.#flows,
      description: {
        manufacturer: 'Sojourn',
        hardware: 'None',
        software: 'Sojourn embedded switch',
        serial: 'None',
        datapath: 'None',
        ...this.#options.description,
      },
    });
  }

  queues(port: number): readonly PacketQueue[] {
    checkQueue(this.engine, port, QUEUE_ALL);
    return [];
  }

  packetInMessage(event: PacketInEvent, missSendLength: number): PacketInMessage {
    const { reason, table, cookie, match, frame, maxLength = missSendLength } = event;
    const cut = maxLength !== CONTROLLER_LENGTH.noBuffer && maxLength < frame.length;
    const inPort = Number(match.in_port);
    return {
      type: 'packet-in',
      buffer: cut ? this.#buffers.keep({ frame, inPort }) : NO_BUFFER,
      totalLength: frame.length,
      reason,
      table,
      cookie,
      match,
      data: cut ? frame.subarray(0, maxLength) : frame,
    };
  }

  expire(now: number): number | undefined {
    return this.#flows.expire(now);
  }

  #packetIn({ reason, table, cookie, inPort, maxLength, packet }: PacketIn): void {
    // OpenFlow has no word for a packet that is too large for its port.
    if (reason === 'too-big' || this.#listeners.size === 0) return;
    const { key } = packet;
    const match: Match = {
      in_port: BigInt(inPort),
      ...withoutZero('metadata', readField(key, 'metadata')),
      ...withoutZero('tunnel_id', readField(key, 'tunnel_id')),
      ...(key[WORD.physicalPort] !== inPort && {
        in_phy_port: readField(key, 'in_phy_port'),
      }),
    };
    const event = { reason, table, cookie, match, frame: packet.toFrame(), maxLength };
    for (const listener of this.#listeners) listener.packetIn(event);
  }

  #tell(message: PortStatus): void {
    for (const listener of this.#listeners) listener.portStatus(message);
  }
}

function withoutZero(name: 'metadata' | 'tunnel_id', value: bigint): Match {
  return value === 0n ? {} : { [name]: value };
}
