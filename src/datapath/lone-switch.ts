/** The embedded switch by itself, without an agent: its ports, and its OpenFlow endpoint. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SojournError } from '../common/index.ts';
import { readNatPtPort } from '../gateway/index.ts';
import {
  type EndpointOptions,
  type ListenTarget,
  OpenFlowEndpoint,
} from '../switch/agent/index.ts';
import { OpenFlowSwitch, StreamPort } from '../switch/index.ts';
import { LoneTap } from './lone-tap.ts';

/** Whatever Ethernet carries: a switch cuts nothing. */
const PORT_MTU = 65_535;

export type LonePort =
  /** QEMU's `-netdev stream` connects to the socket. */
  | { readonly number: number; readonly type: 'stream'; readonly path: string }
  | { readonly number: number; readonly type: 'tap'; readonly name: string }
  /** A translator between IPv4 and IPv6, whose addresses are in a file. */
  | { readonly number: number; readonly type: 'natpt'; readonly path: string };

export interface LoneSwitchOptions extends Omit<EndpointOptions, 'datapath'> {
  readonly datapathId: bigint;
  readonly ports: readonly LonePort[];
  readonly listen: readonly ListenTarget[];
  readonly qemu: string;
  readonly onProblem: (error: SojournError) => void;
}

export class LoneSwitch {
  readonly switch: OpenFlowSwitch;
  readonly #options: LoneSwitchOptions;
  readonly #ports: { close(): Promise<void> }[] = [];
  #endpoint: OpenFlowEndpoint | undefined;
  #directory: string | undefined;

  constructor(options: LoneSwitchOptions) {
    this.#options = options;
    this.switch = new OpenFlowSwitch({ datapathId: options.datapathId });
  }

  /** @throws SojournError when a port or listener cannot be had; then nothing is left. */
  async start(): Promise<void> {
    try {
      for (const port of this.#options.ports) await this.#attach(port);
      const endpoint = new OpenFlowEndpoint({ ...this.#options, datapath: this.switch });
      this.#endpoint = endpoint;
      for (const target of this.#options.listen) await endpoint.listen(target);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#endpoint?.close();
    await Promise.all(this.#ports.map((port) => port.close()));
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }

  async #attach(port: LonePort): Promise<void> {
    const { engine } = this.switch;
    const { number } = port;
    if (port.type === 'tap') {
      const { qemu, onProblem } = this.#options;
      this.#directory ??= await mkdtemp(join(tmpdir(), 'sojourn-switch-'));
      const common = { number, mtu: PORT_MTU, owner: engine };
      const tap = new LoneTap({
        ...common,
        name: port.name,
        directory: this.#directory,
        qemu,
        onProblem,
      });
      this.#ports.push(tap);
      engine.attach(tap.port);
      await tap.start();
      return;
    }
    if (port.type === 'natpt') {
      engine.attach(await readNatPtPort(port.path, number, engine));
      return;
    }
    const changed = () => engine.portChanged(number);
    const stream = new StreamPort({
      number,
      socketPath: port.path,
      mtu: PORT_MTU,
      owner: engine,
      onConnected: changed,
      onDisconnected: changed,
    });
    this.#ports.push(stream);
    engine.attach(stream);
    await stream.listen();
  }
}
