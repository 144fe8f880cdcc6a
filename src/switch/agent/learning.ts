/**
 * The switch without its controllers in fail-standalone mode (OpenFlow 1.3.5, 6.3.3): a learning switch. Flows of its own
 * stand above all others while it lasts and go when a controller is there; those of controllers stay.
 */
import {
  type Action,
  FLOW_FLAG,
  type FlowMod,
  flowMod,
  type Match,
  NO_BUFFER,
  OpenFlowError,
  PORT,
} from '../../openflow/index.ts';
import type { OpenFlowDatapath, PacketInEvent } from '../openflow-api.ts';

/** Marks our flows; nobody chooses it by accident. */
const COOKIE = 0x536f_6a6f_7572_6e01n;
const ALL_BITS = 0xffff_ffff_ffff_ffffn;
/** Below those of pairs of addresses, above any other but the highest. */
const MISS_PRIORITY = 0xfffe;
const PAIR_PRIORITY = 0xffff;
/** Of a pair of addresses without packets, and so of what is known of hosts, seconds. */
const IDLE_SECONDS = 60;
/** Addresses remembered; the one learned longest ago goes. */
export const MAX_ADDRESSES = 4096;
/** Packets that wait for the present one to leave the switch; more are dropped. */
const MAX_WAITING = 256;

export class LearningSwitch {
  readonly #datapath: OpenFlowDatapath;
  readonly #changed: () => void;
  /** Port by source address. */
  readonly #ports = new Map<bigint, number>();
  #waiting: PacketInEvent[] = [];
  #active = false;

  /** @param changed flows were added or removed */
  constructor(datapath: OpenFlowDatapath, changed: () => void) {
    this.#datapath = datapath;
    this.#changed = changed;
  }

  get active(): boolean {
    return this.#active;
  }

  start(): void {
    if (this.#active) return;
    this.#active = true;
    this.#flow(MISS_PRIORITY, {}, [{ type: 'output', port: PORT.controller }], 0);
  }

  stop(): void {
    if (!this.#active) return;
    this.#active = false;
    this.#ports.clear();
    this.#waiting = [];
    this.#remove({});
  }

  packetIn(event: PacketInEvent): void {
    if (!this.#active || event.cookie !== COOKIE || this.#waiting.length >= MAX_WAITING) return;
    // The packet is still in the pipeline; tables change after it.
    if (this.#waiting.push(event) === 1) queueMicrotask(() => this.#work());
  }

  #work(): void {
    for (const { frame, match } of this.#waiting.splice(0))
      this.#forward(frame, Number(match.in_port));
  }

  #forward(frame: Buffer, inPort: number): void {
    const destination = BigInt(frame.readUIntBE(0, 6));
    const source = BigInt(frame.readUIntBE(6, 6));
    this.#learn(source, inPort);
    // Bridges' own protocols end at the bridge (IEEE 802.1Q, 8.6.3).
    if (destination >> 4n === 0x0180_c200_000n) return;
    const port = isGroup(destination) ? undefined : this.#ports.get(destination);
    if (port === inPort) return;
    const actions: Action[] = [{ type: 'output', port: port ?? PORT.all }];
    if (port !== undefined) {
      const match = { in_port: BigInt(inPort), eth_src: source, eth_dst: destination };
      this.#flow(PAIR_PRIORITY, match, actions, IDLE_SECONDS);
    }
    this.#try(() =>
      this.#datapath.packetOut({
        type: 'packet-out',
        buffer: NO_BUFFER,
        inPort,
        actions,
        data: frame,
      }),
    );
  }

  #learn(address: bigint, port: number): void {
    if (isGroup(address) || this.#ports.get(address) === port) return;
    // It moved: what goes to it goes the wrong way.
    if (this.#ports.delete(address)) this.#remove({ eth_dst: address });
    this.#ports.set(address, port);
    if (this.#ports.size > MAX_ADDRESSES) {
      const [oldest] = this.#ports.keys();
      this.#ports.delete(oldest as bigint);
    }
  }

  #flow(priority: number, match: Match, actions: Action[], idleTimeout: number): void {
    const instructions = [{ type: 'apply-actions', actions } as const];
    const flags = FLOW_FLAG.resetCounts;
    this.#change({ priority, match, instructions, idleTimeout, flags });
  }

  #remove(match: Match): void {
    this.#change({ command: 'delete', cookieMask: ALL_BITS, match });
  }

  #change(part: Partial<FlowMod>): void {
    this.#try(() => this.#datapath.flowMod(flowMod({ cookie: COOKIE, ...part })));
    this.#changed();
  }

  /** A full table or a frame that is none costs that packet only. */
  #try(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
    }
  }
}

function isGroup(address: bigint): boolean {
  return ((address >> 40n) & 1n) === 1n;
}
