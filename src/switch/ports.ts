/** The ports of a switch, with what OpenFlow says of each (1.3.5, 7.2.1). */
import {
  openFlowError,
  PORT,
  PORT_CONFIG,
  PORT_STATE,
  type PortDescription,
  type PortMod,
  type PortStats,
} from '../openflow/index.ts';
import type { Packet } from './packet.ts';
import { durationOf } from './time.ts';

export interface PortCounters {
  rxPackets: number;
  rxBytes: number;
  txPackets: number;
  txBytes: number;
  rxDropped: number;
  txDropped: number;
}

export function zeroCounters(): PortCounters {
  return { rxPackets: 0, rxBytes: 0, txPackets: 0, txBytes: 0, rxDropped: 0, txDropped: 0 };
}

export interface SwitchPort {
  readonly number: number;
  /** Largest layer 3 packet the port takes, bytes. */
  readonly mtu: number;
  readonly counters: PortCounters;
  /** At most 15 bytes; `port` and the number when left out. */
  readonly name?: string;
  /** 48 bits; one made of the number when left out. */
  readonly hardwareAddress?: bigint;
  /** Whether there is somebody at the other end; always when left out. Changes are told by `Switch.portChanged`. */
  readonly connected?: boolean;
  /** Copies the packet into the port's queue or drops it; must not keep the packet. */
  send(packet: Packet): void;
  /** Hands over what `send` has gathered. Called once after each chunk. */
  flush(): void;
}

/** Locally administered, so that it is nobody's. */
const ADDRESS_PREFIX = 0x0273_6a00_0000n;
const CONFIG =
  PORT_CONFIG.portDown | PORT_CONFIG.noRecv | PORT_CONFIG.noForward | PORT_CONFIG.noPacketIn;

export class PortEntry {
  readonly port: SwitchPort;
  readonly createdAt: number;
  config = 0;
  /** Has something to flush. */
  dirty = false;

  constructor(port: SwitchPort, now: number) {
    this.port = port;
    this.createdAt = now;
  }

  /** Up, and not taken down (7.2.1, OFPPS_LIVE). */
  get live(): boolean {
    return this.port.connected !== false && (this.config & PORT_CONFIG.portDown) === 0;
  }

  get sends(): boolean {
    return (this.config & (PORT_CONFIG.portDown | PORT_CONFIG.noForward)) === 0;
  }

  get receives(): boolean {
    return (this.config & (PORT_CONFIG.portDown | PORT_CONFIG.noRecv)) === 0;
  }

  get hardwareAddress(): bigint {
    return this.port.hardwareAddress ?? ADDRESS_PREFIX | BigInt(this.port.number & 0xffffff);
  }

  describe(): PortDescription {
    const { number, name = `port${number}`, connected = true } = this.port;
    return {
      number,
      hardwareAddress: this.hardwareAddress,
      name,
      config: this.config,
      state: (connected ? 0 : PORT_STATE.linkDown) | (this.live ? PORT_STATE.live : 0),
      current: 0,
      advertised: 0,
      supported: 0,
      peer: 0,
      currentSpeed: 0,
      maxSpeed: 0,
    };
  }

  /** @returns whether it changed anything. @throws OpenFlowError OFPET_PORT_MOD_FAILED. */
  configure({ hardwareAddress, config, mask, advertise }: PortMod): boolean {
    if (hardwareAddress !== this.hardwareAddress)
      throw openFlowError(
        'port-mod-failed',
        'bad-hw-addr',
        'another address than that of the port',
      );
    if (((config | mask) & ~CONFIG) !== 0)
      throw openFlowError('port-mod-failed', 'bad-config', `bits 0x${mask.toString(16)}`);
    if (advertise !== 0)
      throw openFlowError('port-mod-failed', 'bad-advertise', 'a virtual port negotiates nothing');
    const before = this.config;
    this.config = (before & ~mask) | (config & mask);
    return this.config !== before;
  }

  statistics(now: number): PortStats {
    const { counters, number } = this.port;
    const unknown = 0xffff_ffff_ffff_ffffn;
    return {
      port: number,
      rxPackets: BigInt(counters.rxPackets),
      txPackets: BigInt(counters.txPackets),
      rxBytes: BigInt(counters.rxBytes),
      txBytes: BigInt(counters.txBytes),
      rxDropped: BigInt(counters.rxDropped),
      txDropped: BigInt(counters.txDropped),
      rxErrors: 0n,
      txErrors: 0n,
      rxFrameErrors: unknown,
      rxOverrunErrors: unknown,
      rxCrcErrors: unknown,
      collisions: unknown,
      ...durationOf(now - this.createdAt),
    };
  }
}

/** Whether an output to this number can ever go anywhere, other than to the controller (7.2.1). */
export function isEgressPort(port: number): boolean {
  return (
    (port > 0 && port <= PORT.max) ||
    port === PORT.inPort ||
    port === PORT.all ||
    port === PORT.flood ||
    port === PORT.controller ||
    port === PORT.local
  );
}
