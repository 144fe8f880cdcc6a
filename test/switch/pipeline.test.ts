import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { onesSum, pseudoHeaderSum } from '../../src/switch/checksum.ts';
import { FlowTable } from '../../src/switch/flow-table.ts';
import {
  type FlowSpec,
  type Instruction,
  ipToBigInt,
  type Match,
  type Packet,
  type PacketIn,
  PORT,
  prefix,
  Switch,
  type SwitchPort,
  zeroCounters,
} from '../../src/switch/index.ts';
import { type CompiledMatch, compileMatch } from '../../src/switch/match.ts';
import { numbered } from '../datapath/harness.ts';
import { golden } from './golden-frames.ts';

class Sink implements SwitchPort {
  readonly number: number;
  readonly mtu: number;
  readonly counters = zeroCounters();
  readonly frames: Buffer[] = [];
  flushes = 0;

  constructor(number: number, mtu = 1500) {
    this.number = number;
    this.mtu = mtu;
  }

  send(packet: Packet): void {
    this.frames.push(packet.toFrame());
  }

  flush(): void {
    this.flushes++;
  }
}

function setUp(...flows: Omit<FlowSpec, 'cookie'>[]) {
  const events: Omit<PacketIn, 'packet'>[] = [];
  const owner = new Switch(({ packet: _, ...event }) => events.push(event));
  const ports = [1, 2, 3].map((number) => new Sink(number));
  for (const port of ports) owner.attach(port);
  for (const flow of flows) owner.addFlow(flow);
  const [one, two, three] = ports as [Sink, Sink, Sink];
  const receive = (frame: Buffer) => owner.receiveFrame(one, Buffer.from(frame), 0, frame.length);
  return { owner, one, two, three, events, receive };
}

const apply = (...actions: Extract<Instruction, { type: 'apply-actions' }>['actions']) =>
  [{ type: 'apply-actions', actions }] as const;
const output = (port: number) => ({ type: 'output', port }) as const;
const v4: Match = { eth_type: 0x0800n };
const udp = numbered({ mac: '52:54:00:00:00:02', address: '192.0.2.2' }, '192.0.2.3', 1);

describe('the pipeline', () => {
  it('hands over once what arrives in one turn of the event loop, in chunks however many', async () => {
    const { receive, owner, one, two } = setUp({
      table: 0,
      priority: 1,
      match: {},
      instructions: apply(output(2)),
    });
    for (let chunk = 0; chunk < 100; chunk++) {
      receive(udp);
      owner.flushSoon(one);
    }
    expect([two.frames.length, two.flushes]).toEqual([100, 0]);
    await new Promise((resolve) => setImmediate(resolve));
    // The port that a chunk came from may have an answer of its own.
    expect([two.flushes, one.flushes]).toEqual([1, 1]);
  });

  it('takes the matching flow of the highest priority', () => {
    const { receive, two, three } = setUp(
      { table: 0, priority: 1, match: {}, instructions: apply(output(2)) },
      { table: 0, priority: 5, match: v4, instructions: apply(output(3)) },
    );
    receive(udp);
    receive(golden.arpRequest);
    expect([two.frames.length, three.frames.length]).toEqual([1, 1]);
    expect(three.frames[0]).toEqual(udp);
  });

  it('goes on to later tables with metadata, and executes the action set in its order', () => {
    const { receive, two } = setUp(
      {
        table: 0,
        priority: 1,
        match: {},
        instructions: [
          { type: 'write-metadata', value: 0x500n, mask: 0xf00n },
          {
            type: 'write-actions',
            actions: [output(2), { type: 'set-field', field: 'eth_src', value: 1n }],
          },
          { type: 'goto-table', table: 4 },
        ],
      },
      {
        table: 4,
        priority: 1,
        match: { metadata: { value: 0x500n, mask: 0x700n } },
        instructions: [],
      },
    );
    receive(udp);
    expect(two.frames[0]?.subarray(6, 12).toString('hex')).toBe('000000000001');
  });

  it('drops the action set on a clear and on a miss without a table-miss flow', () => {
    const write: Instruction = { type: 'write-actions', actions: [output(2)] };
    const { receive, owner, two } = setUp(
      { table: 0, priority: 1, match: {}, instructions: [write, { type: 'goto-table', table: 1 }] },
      { table: 1, priority: 1, match: v4, instructions: [{ type: 'clear-actions' }] },
    );
    receive(udp);
    receive(golden.arpRequest);
    expect(two.frames).toEqual([]);
    expect(owner.drops.tableMiss).toBe(1);
  });

  it('matches what an earlier action has written', () => {
    const { receive, three } = setUp(
      {
        table: 0,
        priority: 1,
        match: v4,
        instructions: [
          ...apply({ type: 'set-field', field: 'ipv4_dst', value: ipToBigInt('10.0.0.9') }),
          { type: 'goto-table', table: 1 },
        ],
      },
      {
        table: 1,
        priority: 1,
        match: { ...v4, ipv4_dst: prefix(ipToBigInt('10.0.0.0'), 8, 32) },
        instructions: apply(output(3)),
      },
    );
    receive(udp);
    receive(udp);
    expect(three.frames.length).toBe(2);
  });

  it('never sends a packet back where it came from, unless told IN_PORT', () => {
    const { receive, owner, one } = setUp(
      { table: 0, priority: 1, match: v4, instructions: apply(output(1)) },
      {
        table: 0,
        priority: 1,
        match: { eth_type: 0x0806n },
        instructions: apply(output(PORT.inPort)),
      },
    );
    receive(udp);
    expect(one.frames.length).toBe(0);
    expect(owner.drops.backToInPort).toBe(1);
    receive(golden.arpRequest);
    expect(one.frames.length).toBe(1);
  });

  it('hands over what is too big, too old, or wanted', () => {
    const { receive, owner, events } = setUp(
      { table: 0, priority: 1, match: v4, instructions: apply({ type: 'dec-nw-ttl' }, output(4)) },
      { table: 0, priority: 1, match: {}, instructions: apply(output(PORT.controller)) },
    );
    owner.attach(new Sink(4, 50));
    const old = Buffer.from(udp);
    old[22] = 1;
    for (const frame of [udp, old, golden.arpRequest]) receive(frame);
    expect(events.map(({ reason, mtu }) => [reason, mtu])).toEqual([
      ['too-big', 50],
      ['invalid-ttl', 0],
      ['action', 0],
    ]);
  });

  it('refuses to go back, and matches without their prerequisites', () => {
    const goto = (table: number): Instruction[] => [{ type: 'goto-table', table }];
    expect(() => setUp({ table: 2, priority: 1, match: {}, instructions: goto(2) })).toThrow(
      /table 2/,
    );
    expect(() => compileMatch({ ipv4_dst: 1n })).toThrow(/eth_type/);
    expect(() => compileMatch({ ...v4, tcp_dst: 1n })).toThrow(/ip_proto/);
    expect(() => compileMatch({ ip_proto: 999n, ...v4 })).toThrow(/fit/);
    expect(() => compileMatch({ ...v4, ipv4_dst: { value: 3n, mask: 2n } })).toThrow(/mask/);
  });

  it('forgets cached decisions when flows change', () => {
    const { receive, owner, two, three } = setUp({
      table: 0,
      priority: 1,
      match: {},
      instructions: apply(output(2)),
    });
    receive(udp);
    receive(udp);
    expect(owner.cacheHits).toBe(1);
    const better = owner.addFlow({
      table: 0,
      priority: 2,
      match: v4,
      instructions: apply(output(3)),
    });
    receive(udp);
    expect([two.frames.length, three.frames.length]).toEqual([2, 1]);
    owner.removeFlow(better);
    receive(udp);
    expect([two.frames.length, three.frames.length]).toEqual([3, 1]);
    expect(better.packets).toBe(1);
  });

  it('cuts off Ethernet padding, and drops what is malformed at every length', () => {
    const { receive, owner, two } = setUp({
      table: 0,
      priority: 1,
      match: {},
      instructions: apply(output(2)),
    });
    receive(Buffer.concat([udp, Buffer.alloc(6)]));
    expect(two.frames[0]).toEqual(udp);
    for (let length = 0; length < udp.length; length++) receive(udp.subarray(0, length));
    expect(owner.drops.malformed).toBe(udp.length);
  });
});

describe('rewriting', () => {
  it.each([
    ['ipv4_dst', ipToBigInt('198.51.100.77')],
    ['ipv4_src', ipToBigInt('198.51.100.78')],
    ['udp_dst', 53n],
    ['udp_src', 54n],
    ['ip_dscp', 46n],
  ] as const)('%s keeps all checksums right', (field, value) => {
    const frame = Buffer.from(udp);
    const sum = ~onesSum(
      frame,
      34,
      frame.length,
      pseudoHeaderSum(frame, 14, 17, frame.length - 34),
    );
    frame.writeUInt16BE(sum & 0xffff, 40);
    const proto = field.startsWith('udp') ? { ip_proto: 17n } : {};
    const { receive, two } = setUp({
      table: 0,
      priority: 1,
      match: { ...v4, ...proto },
      instructions: apply({ type: 'set-field', field, value }, { type: 'dec-nw-ttl' }, output(2)),
    });
    receive(frame);
    const sent = two.frames[0] as Buffer;
    expect(sent).not.toEqual(frame);
    expect(onesSum(sent, 14, 34)).toBe(0xffff);
    expect(onesSum(sent, 34, sent.length, pseudoHeaderSum(sent, 14, 17, sent.length - 34))).toBe(
      0xffff,
    );
    expect(sent[22]).toBe(63);
  });

  it('of IPv6 addresses keeps the checksum of ICMPv6 right', () => {
    const { receive, two } = setUp({
      table: 0,
      priority: 1,
      match: { eth_type: 0x86ddn },
      instructions: apply(
        { type: 'set-field', field: 'ipv6_src', value: ipToBigInt('2001:db8:5::1') },
        output(2),
      ),
    });
    receive(golden.routerSolicitation);
    const packet = (two.frames[0] as Buffer).subarray(14);
    expect(onesSum(packet, 40, packet.length, pseudoHeaderSum(packet, 0, 58, 16))).toBe(0xffff);
  });
});

describe('the classifier', () => {
  const address = fc.nat(7).map((low) => 0xc0000200n + BigInt(low));
  const match: fc.Arbitrary<Match> = fc.record(
    {
      in_port: fc.constantFrom(1n, 2n),
      ipv4_dst: fc.oneof(
        address,
        fc.tuple(address, fc.integer({ min: 28, max: 32 })).map(([a, n]) => prefix(a, n, 32)),
      ),
      ipv4_src: address,
    },
    { requiredKeys: [] },
  );
  const matches = match.map((some) => ({ ...v4, ...some }));
  const flows = fc.array(fc.tuple(matches, fc.nat(20)), { maxLength: 40 });
  const keys = fc.array(fc.tuple(fc.constantFrom(1n, 2n), address, address), { maxLength: 20 });

  it('agrees with going through all flows, also after some are removed', () => {
    fc.assert(
      fc.property(flows, keys, fc.nat(), (specs, wanted, seed) => {
        const table = new FlowTable();
        const all = new Map<string, { priority: number; compiled: CompiledMatch }>();
        for (const [index, [some, priority]] of specs.entries()) {
          const entry = table.add({ table: 0, priority, match: some, instructions: [] });
          const { key, mask } = compileMatch(some);
          all.set(`${key}/${mask}/${priority}`, { priority, compiled: { key, mask } });
          if ((seed + index) % 3 === 0) {
            expect(table.remove(entry)).toBe(true);
            all.delete(`${key}/${mask}/${priority}`);
          }
        }
        expect(table.size).toBe(all.size);
        for (const [in_port, ipv4_src, ipv4_dst] of wanted) {
          const { key } = compileMatch({ ...v4, in_port, ipv4_src, ipv4_dst });
          const hits = [...all.values()].filter(({ compiled }) =>
            key.every((word, i) => {
              const mask = compiled.mask[i] as number;
              return (word & mask) >>> 0 === compiled.key[i];
            }),
          );
          const best = Math.max(-1, ...hits.map(({ priority }) => priority));
          expect(table.lookup(key)?.priority ?? -1).toBe(best);
        }
      }),
    );
  });
});
