/** A model of gateways with flow tables and of the network between them: what becomes of a packet. Knows nothing of the compiler. */

import type { Change, Gateway, InstalledFlow } from '../../../src/mobility/flows/index.ts';
import { keyOf } from '../../../src/mobility/flows/index.ts';
import type { Action, FieldName, Match } from '../../../src/openflow/index.ts';
import { PORT } from '../../../src/openflow/index.ts';

export type Fields = { readonly [Name in FieldName]?: bigint };

/** Where a packet came out of all gateways. */
export interface Arrival {
  readonly gateway: string;
  readonly port: number;
  readonly fields: Fields;
}

export interface Journey {
  readonly arrivals: readonly Arrival[];
  /** Fields of the packet whenever it was in the routed network. */
  readonly between: readonly Fields[];
}

const MAX_HOPS = 16;

export class World {
  readonly tables = new Map<string, Map<string, InstalledFlow>>();
  readonly #gateways: ReadonlyMap<string, Gateway>;
  /** The gateway whose uplink the network leads an address to. */
  readonly #routes: (address: bigint) => string | undefined;

  constructor(gateways: readonly Gateway[], routes: (address: bigint) => string | undefined) {
    this.#gateways = new Map(gateways.map((gateway) => [gateway.id, gateway]));
    this.#routes = routes;
    for (const { id } of gateways) this.tables.set(id, new Map());
  }

  flows(gateway: string): InstalledFlow[] {
    return [...(this.tables.get(gateway)?.values() ?? [])];
  }

  apply(gateway: string, change: Change): void {
    const table = this.tables.get(gateway);
    if (change.type === 'put') table?.set(keyOf(change.flow), change.flow);
    else table?.delete(keyOf(change.flow));
  }

  /** A packet that comes in at a port of a gateway. @throws when it goes round. */
  send(gateway: string, port: number, fields: Fields): Journey {
    const arrivals: Arrival[] = [];
    const between: Fields[] = [];
    const queue = [{ gateway, port, fields, hops: 0 }];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (next.hops > MAX_HOPS) throw new Error(`a packet goes round at ${next.gateway}`);
      const { uplink, tunnels } = this.#gateways.get(next.gateway) as Gateway;
      for (const out of this.#through(next.gateway, {
        ...next.fields,
        in_port: BigInt(next.port),
      })) {
        const peer = Object.keys(tunnels).find((id) => tunnels[id] === out.port);
        const hops = next.hops + 1;
        if (peer !== undefined) {
          const back = this.#gateways.get(peer)?.tunnels[next.gateway];
          if (back !== undefined)
            queue.push({ gateway: peer, port: back, fields: out.fields, hops });
        } else if (out.port === uplink?.port) {
          between.push(out.fields);
          const to = this.#routes(destination(out.fields));
          const there = to === undefined ? undefined : this.#gateways.get(to)?.uplink;
          if (to === undefined || there === undefined)
            arrivals.push({ gateway: '', port: 0, fields: out.fields });
          else queue.push({ gateway: to, port: there.port, fields: out.fields, hops });
        } else arrivals.push({ gateway: next.gateway, port: out.port, fields: out.fields });
      }
    }
    return { arrivals, between };
  }

  #through(gateway: string, packet: Fields): { port: number; fields: Fields }[] {
    const outputs: { port: number; fields: Fields }[] = [];
    let fields = packet;
    const run = (action: Action) => {
      if (action.type === 'set-field') fields = { ...fields, [action.field]: action.value };
      else if (action.type === 'output') {
        const port = action.port === PORT.inPort ? Number(packet.in_port) : action.port;
        // A packet never leaves by the port that it came from unless that is said (OpenFlow 1.3.5, 5.7).
        if (action.port !== Number(packet.in_port)) outputs.push({ port, fields });
      } else if (action.type !== 'dec-nw-ttl') throw new Error(`the model has no ${action.type}`);
    };
    for (let table: number | undefined = 0; table !== undefined; ) {
      const flow = this.#lookup(gateway, table, fields);
      table = undefined;
      for (const instruction of flow?.instructions ?? []) {
        if (instruction.type === 'apply-actions') instruction.actions.forEach(run);
        else if (instruction.type === 'goto-table') table = instruction.table;
        else throw new Error(`the model has no ${instruction.type}`);
      }
    }
    return outputs;
  }

  #lookup(gateway: string, table: number, fields: Fields): InstalledFlow | undefined {
    let found: InstalledFlow | undefined;
    let twice: InstalledFlow | undefined;
    for (const flow of this.tables.get(gateway)?.values() ?? []) {
      if (flow.table !== table || flow.priority < (found?.priority ?? 0)) continue;
      if (!matches(flow.match, fields)) continue;
      twice = flow.priority === found?.priority ? found : undefined;
      found = flow;
    }
    if (found !== undefined && twice !== undefined)
      throw new Error(`two flows of ${gateway} match: ${keyOf(found)} and ${keyOf(twice)}`);
    return found;
  }
}

function matches(match: Match, fields: Fields): boolean {
  return (Object.keys(match) as (FieldName | 'unknown')[]).every((name) => {
    if (name === 'unknown') return false;
    const wanted = match[name];
    const value = fields[name];
    if (wanted === undefined) return true;
    if (value === undefined) return false;
    if (typeof wanted === 'bigint') return value === wanted;
    return (value & wanted.mask) === wanted.value;
  });
}

function destination(fields: Fields): bigint {
  return fields.ipv4_dst ?? fields.ipv6_dst ?? 0n;
}
