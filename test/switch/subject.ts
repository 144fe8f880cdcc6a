/** A switch with OpenFlow messages for tests: three ports that keep what they are sent, a clock, and what it has told. */
import {
  type Action,
  describeError,
  type FlowMod,
  type FlowRemoved,
  flowMod,
  GROUP,
  type GroupMod,
  type Instruction,
  type MeterMod,
  NO_BUFFER,
  OpenFlowError,
  type PacketOut,
  PORT,
  type PortStatus,
} from '../../src/openflow/index.ts';
import {
  OpenFlowSwitch,
  type Packet,
  type PacketInEvent,
  type SwitchPort,
  zeroCounters,
} from '../../src/switch/index.ts';

export class Sink implements SwitchPort {
  readonly number: number;
  readonly mtu = 65_535;
  readonly counters = zeroCounters();
  frames: Buffer[] = [];
  connected = true;

  constructor(number: number) {
    this.number = number;
  }

  send(packet: Packet): void {
    this.frames.push(packet.toFrame());
  }

  flush(): void {}
}

export class Subject {
  now = 1_000;
  readonly switch = new OpenFlowSwitch({ datapathId: 7n, clock: () => this.now });
  readonly ports = [1, 2, 3].map((number) => new Sink(number));
  readonly packetIns: PacketInEvent[] = [];
  readonly removed: FlowRemoved[] = [];
  readonly statuses: PortStatus[] = [];

  constructor() {
    for (const port of this.ports) this.switch.engine.attach(port);
    this.switch.listen({
      packetIn: (event) => this.packetIns.push(event),
      flowRemoved: (message) => this.removed.push(message),
      portStatus: (message) => this.statuses.push(message),
    });
  }

  port(number: number): Sink {
    return this.ports[number - 1] as Sink;
  }

  receive(frame: Buffer, port = 1): void {
    const { engine } = this.switch;
    engine.receiveFrame(this.port(port), Buffer.from(frame), 0, frame.length);
    engine.flush();
  }

  /** How many frames each port was sent since the last call. */
  sent(): number[] {
    return this.ports.map((port) => port.frames.splice(0).length);
  }

  /** What a port was sent since the last call, in hexadecimal. */
  taken(port = 2): string[] {
    return this.port(port)
      .frames.splice(0)
      .map((frame) => frame.toString('hex'));
  }

  flow(part: Partial<FlowMod>): void {
    this.switch.flowMod(flowMod({ priority: 1, ...part }));
  }

  group(group: number, part: Partial<GroupMod> & { to?: readonly (readonly Action[])[] }): void {
    const { to = [], ...rest } = part;
    const buckets = to.map((actions) => bucket(actions));
    this.switch.groupMod({
      type: 'group-mod',
      command: 'add',
      groupType: 'all',
      group,
      buckets,
      ...rest,
    });
  }

  meter(part: Partial<MeterMod>): void {
    this.switch.meterMod({
      type: 'meter-mod',
      command: 'add',
      flags: 2,
      meter: 1,
      bands: [],
      ...part,
    });
  }

  packetOut(part: Partial<PacketOut>): void {
    this.switch.packetOut({
      type: 'packet-out',
      buffer: NO_BUFFER,
      inPort: PORT.controller,
      actions: [],
      data: new Uint8Array(),
      ...part,
    });
  }

  /** Cookies of the flows that are installed, in order. */
  cookies(): number[] {
    return this.flows()
      .map(({ cookie }) => Number(cookie))
      .sort((a, b) => a - b);
  }

  flows() {
    const reply = this.switch.multipart({
      kind: 'flow',
      table: 255,
      outPort: PORT.any,
      outGroup: GROUP.any,
      cookie: 0n,
      cookieMask: 0n,
      match: {},
    });
    if (reply.kind !== 'flow') throw new TypeError(reply.kind);
    return reply.flows;
  }
}

export function bucket(actions: readonly Action[], part = {}) {
  return { weight: 1, watchPort: PORT.any, watchGroup: GROUP.any, actions, ...part };
}

export const output = (port: number): Action => ({ type: 'output', port });
export const set = (
  field: Extract<Action, { type: 'set-field' }>['field'],
  value: bigint,
): Action => ({ type: 'set-field', field, value });
export const apply = (...actions: Action[]): Instruction[] => [{ type: 'apply-actions', actions }];
export const write = (...actions: Action[]): Instruction[] => [{ type: 'write-actions', actions }];
export const goto = (table: number): Instruction => ({ type: 'goto-table', table });

/** `bad-match/bad-prereq`, or undefined when nothing was refused. */
export function refusal(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof OpenFlowError) return describeError(error.errorType, error.code);
    throw error;
  }
}
