/** The messages of OpenFlow 1.3.5 and what they do; sections are those of the specification. */
import { describe, expect, it } from 'vitest';
import {
  FLOW_FLAG,
  type FlowMod,
  GROUP,
  type Match,
  PORT,
  PORT_CONFIG,
} from '../../src/openflow/index.ts';
import { PatchPort, Switch } from '../../src/switch/index.ts';
import { numbered } from '../datapath/harness.ts';
import { golden } from './golden-frames.ts';
import { apply, bucket, goto, output, refusal, Sink, Subject, set, write } from './subject.ts';

const udp = numbered({ mac: '52:54:00:00:00:02', address: '192.0.2.2' }, '192.0.2.3', 1);
const v4: Match = { eth_type: 0x0800n };
const toController = { type: 'output', port: PORT.controller, maxLength: 0xffff } as const;

describe('flow-mod (6.4)', () => {
  it('refuses what cannot be, with the specified error and nothing changed', () => {
    const subject = new Subject();
    const refused = (part: Partial<FlowMod>) => refusal(() => subject.flow(part));
    const cases: [Partial<FlowMod>, string][] = [
      [{ table: 254 }, 'flow-mod-failed/bad-table-id'],
      [{ table: 255 }, 'flow-mod-failed/bad-table-id'],
      [{ flags: 0x100 }, 'flow-mod-failed/bad-flags'],
      [{ match: { tcp_dst: 1n } }, 'bad-match/bad-prereq'],
      [{ match: { vlan_pcp: 1n, vlan_vid: 0n } }, 'bad-match/bad-prereq'],
      [{ match: { eth_type: 0x10000n } }, 'bad-match/bad-value'],
      [{ match: { in_port: BigInt(PORT.any) } }, 'bad-match/bad-value'],
      [{ match: { eth_type: { value: 0n, mask: 1n } } }, 'bad-match/bad-mask'],
      [{ match: { eth_dst: { value: 3n, mask: 2n } } }, 'bad-match/bad-wildcards'],
      [
        { match: { unknown: [{ oxmClass: 1, field: 0, value: new Uint8Array(4) }] } },
        'bad-match/bad-field',
      ],
      [{ instructions: [goto(0)] }, 'bad-instruction/bad-table-id'],
      [{ instructions: [goto(254)] }, 'bad-instruction/bad-table-id'],
      [{ instructions: [goto(1), goto(2)] }, 'bad-instruction/unsup-inst'],
      [
        { instructions: [{ type: 'experimenter', experimenter: 1, data: new Uint8Array(4) }] },
        'bad-instruction/bad-experimenter',
      ],
      [{ instructions: [{ type: 'meter', meter: 1 }] }, 'meter-mod-failed/invalid-meter'],
      [{ instructions: apply(output(PORT.any)) }, 'bad-action/bad-out-port'],
      [{ instructions: apply(output(PORT.table)) }, 'bad-action/bad-out-port'],
      [{ instructions: apply(output(PORT.normal)) }, 'bad-action/bad-out-port'],
      [{ instructions: apply(output(0)) }, 'bad-action/bad-out-port'],
      [{ instructions: write({ type: 'group', group: 5 }) }, 'bad-action/bad-out-group'],
      [{ instructions: apply({ ...toController, maxLength: 0xfff0 }) }, 'bad-action/bad-argument'],
      [{ instructions: apply({ type: 'push-vlan', ethType: 0x800 }) }, 'bad-action/bad-argument'],
      [{ instructions: apply({ type: 'push-mpls', ethType: 0x8100 }) }, 'bad-action/bad-argument'],
      [{ instructions: apply({ type: 'set-queue', queue: 1 }) }, 'bad-action/bad-queue'],
      [{ instructions: apply(set('metadata', 1n)) }, 'bad-action/bad-set-type'],
      [{ instructions: apply(set('in_port', 1n)) }, 'bad-action/bad-set-type'],
      [{ instructions: apply(set('ip_dscp', 64n)), match: v4 }, 'bad-action/bad-set-argument'],
      [{ instructions: apply(set('ipv4_src', 1n)) }, 'bad-action/match-inconsistent'],
      [
        { instructions: apply({ type: 'pop-vlan' }), match: { vlan_vid: 0n } },
        'bad-action/match-inconsistent',
      ],
      [
        {
          instructions: apply({ type: 'push-mpls', ethType: 0x8847 }, set('ip_dscp', 1n)),
          match: v4,
        },
        'bad-action/match-inconsistent',
      ],
      [{ instructions: apply(...Array(257).fill(output(1))) }, 'bad-action/too-many'],
      [{ buffer: 77 }, 'bad-request/buffer-unknown'],
    ];
    for (const [part, error] of cases) expect([part, refused(part)]).toEqual([part, error]);
    expect(subject.flows()).toEqual([]);
  });

  it('takes set-field behind the push that makes its header', () => {
    const subject = new Subject();
    const push = { type: 'push-vlan', ethType: 0x8100 } as const;
    subject.flow({
      instructions: apply(push, set('vlan_pcp', 5n), set('vlan_vid', 0x1064n), output(2)),
    });
    subject.receive(udp);
    expect(subject.taken()[0]?.slice(24, 36)).toBe('8100a0640800');
  });

  it('refuses overlaps when asked to, of the same priority only', () => {
    const subject = new Subject();
    const flags = FLOW_FLAG.checkOverlap;
    subject.flow({ cookie: 1n, match: { in_port: 1n } });
    expect(refusal(() => subject.flow({ flags, match: v4 }))).toBe('flow-mod-failed/overlap');
    subject.flow({ cookie: 2n, flags, match: v4, priority: 2 });
    subject.flow({ cookie: 3n, flags, match: { in_port: 2n } });
    expect(subject.cookies()).toEqual([1, 2, 3]);
  });

  it('replaces a flow, whose counters go on unless they are to be reset', () => {
    const subject = new Subject();
    const counted = () =>
      subject.flows().map(({ cookie, packets, bytes }) => [cookie, packets, bytes]);
    subject.flow({ cookie: 1n });
    subject.receive(udp);
    subject.flow({ cookie: 2n });
    subject.receive(udp);
    expect(counted()).toEqual([[2n, 2n, BigInt(2 * udp.length)]]);
    subject.flow({ cookie: 3n, flags: FLOW_FLAG.resetCounts });
    expect(counted()).toEqual([[3n, 0n, 0n]]);
    const tables = subject.switch.multipart({ kind: 'table' });
    if (tables.kind === 'table')
      expect(tables.tables[0]).toEqual({ table: 0, active: 1, lookups: 2n, matched: 2n });
    subject.flow({ command: 'delete' });
    expect(subject.removed).toEqual([]);
  });

  it('modifies what is within the match, by cookie, and keeps cookies and counters', () => {
    const subject = new Subject();
    subject.flow({ cookie: 0x10n, match: { in_port: 1n } });
    subject.flow({ cookie: 0x21n, match: { in_port: 1n, ...v4 }, priority: 2 });
    subject.receive(udp);
    const instructions = apply(output(2));
    subject.flow({ command: 'modify', match: { in_port: 2n }, instructions });
    subject.receive(udp);
    expect(subject.sent()).toEqual([0, 0, 0]);
    subject.flow({ command: 'modify', match: {}, cookie: 0x20n, cookieMask: 0xf0n, instructions });
    subject.receive(udp);
    expect(subject.sent()).toEqual([0, 1, 0]);
    subject.flow({ command: 'modify-strict', match: { in_port: 1n, ...v4 }, priority: 1 });
    subject.receive(udp);
    expect(subject.sent()).toEqual([0, 1, 0]);
    const strict = {
      command: 'modify-strict',
      match: { in_port: 1n, ...v4 },
      priority: 2,
    } as const;
    subject.flow({ ...strict, flags: FLOW_FLAG.resetCounts });
    subject.receive(udp);
    expect(subject.sent()).toEqual([0, 0, 0]);
    expect(subject.flows().find(({ cookie }) => cookie === 0x21n)?.packets).toBe(1n);
  });

  it('deletes by match, cookie, port, group and priority, and tells of it when asked to', () => {
    const subject = new Subject();
    subject.group(9, { to: [[output(3)]] });
    const flags = FLOW_FLAG.sendFlowRemoved;
    subject.flow({ cookie: 1n, match: v4, instructions: apply(output(2)), flags });
    subject.flow({ cookie: 2n, match: { ...v4, ip_proto: 17n }, instructions: write(output(3)) });
    subject.flow({ cookie: 3n, table: 4, instructions: apply({ type: 'group', group: 9 }) });
    subject.flow({ cookie: 4n, table: 5, match: v4, priority: 7 });
    const left = (part: Partial<FlowMod>) => {
      subject.flow({ command: 'delete', ...part });
      return subject.cookies();
    };
    expect(left({ table: 9 })).toEqual([1, 2, 3, 4]);
    expect(left({ match: { ...v4, ip_proto: 6n } })).toEqual([1, 2, 3, 4]);
    expect(left({ outPort: 9 })).toEqual([1, 2, 3, 4]);
    expect(left({ command: 'delete-strict', table: 5, match: v4, priority: 6 })).toEqual([
      1, 2, 3, 4,
    ]);
    expect(left({ command: 'delete-strict', table: 5, match: v4, priority: 7 })).toEqual([1, 2, 3]);
    expect(left({ table: 255, outGroup: 9 })).toEqual([1, 2]);
    expect(left({ outPort: 3 })).toEqual([1]);
    expect(left({ cookie: 2n, cookieMask: 2n })).toEqual([1]);
    subject.now += 2_500;
    subject.receive(udp);
    expect(left({ cookie: 1n, cookieMask: ~0n & 0xffff_ffff_ffff_ffffn })).toEqual([]);
    expect(subject.removed).toEqual([
      {
        type: 'flow-removed',
        cookie: 1n,
        priority: 1,
        reason: 'delete',
        table: 0,
        durationSeconds: 2,
        durationNanoseconds: 500_000_000,
        idleTimeout: 0,
        hardTimeout: 0,
        packets: 1n,
        bytes: BigInt(udp.length),
        match: v4,
      },
    ]);
  });

  it('lets flows time out: idle from the last packet, hard from the beginning', () => {
    const subject = new Subject();
    const flags = FLOW_FLAG.sendFlowRemoved;
    subject.flow({ cookie: 1n, match: v4, idleTimeout: 10, flags });
    subject.flow({
      cookie: 2n,
      match: { eth_type: 0x0806n },
      hardTimeout: 15,
      idleTimeout: 0,
      flags,
    });
    expect(subject.switch.expire(subject.now)).toBe(11_000);
    subject.now = 8_000;
    subject.receive(udp);
    expect(subject.switch.expire(11_000)).toBe(16_000);
    expect(subject.switch.expire(16_000)).toBe(18_000);
    expect(subject.switch.expire(18_000)).toBeUndefined();
    expect(subject.removed.map(({ cookie, reason }) => [cookie, reason])).toEqual([
      [2n, 'hard-timeout'],
      [1n, 'idle-timeout'],
    ]);
  });
});

describe('packet-in and packet-out (6.1.2, 7.3.7)', () => {
  it('says why, where from, and keeps the rest of what it cuts', () => {
    const subject = new Subject();
    const toTable1 = [{ type: 'write-metadata', value: 0x55n, mask: 0xf0n } as const, goto(1)];
    subject.flow({ instructions: [...apply(set('tunnel_id', 9n)), ...toTable1] });
    subject.flow({
      table: 1,
      priority: 0,
      cookie: 5n,
      instructions: apply({ ...toController, maxLength: 20 }),
    });
    subject.receive(udp, 3);
    const [event] = subject.packetIns;
    if (event === undefined) throw new Error('there was no packet-in');
    const message = subject.switch.packetInMessage(event, 128);
    expect(message).toMatchObject({
      reason: 'no-match',
      table: 1,
      cookie: 5n,
      match: { in_port: 3n, metadata: 0x50n, tunnel_id: 9n },
      totalLength: udp.length,
    });
    expect(Buffer.from(message.data)).toEqual(udp.subarray(0, 20));
    subject.packetOut({ buffer: message.buffer, inPort: 3, actions: [output(PORT.all)] });
    expect(subject.sent()).toEqual([1, 1, 0]);
    const again = () => subject.packetOut({ buffer: message.buffer, actions: [output(2)] });
    expect(refusal(again)).toBe('bad-request/buffer-empty');
  });

  it('takes a kept packet through the tables after a flow-mod', () => {
    const subject = new Subject();
    subject.flow({ priority: 0, instructions: apply({ ...toController, maxLength: 0 }) });
    subject.receive(udp);
    const [event] = subject.packetIns;
    if (event === undefined) throw new Error('there was no packet-in');
    const { buffer } = subject.switch.packetInMessage(event, 128);
    subject.flow({ match: { in_port: 1n, ...v4 }, buffer, instructions: apply(output(3)) });
    expect(subject.sent()).toEqual([0, 0, 1]);
  });

  it("cuts at the connection's length when no action says how much", () => {
    const subject = new Subject();
    subject.flow({ cookie: 6n, instructions: apply({ type: 'dec-nw-ttl' }, output(2)) });
    const old = Buffer.from(udp);
    old[22] = 1;
    subject.receive(old);
    expect(subject.sent()).toEqual([0, 0, 0]);
    const [event] = subject.packetIns;
    if (event === undefined) throw new Error('there was no packet-in');
    const message = subject.switch.packetInMessage(event, 33);
    expect([message.reason, message.cookie, message.data.length]).toEqual(['invalid-ttl', 6n, 33]);
  });

  it('takes packet-outs from controllers, and refuses what is none', () => {
    const subject = new Subject();
    subject.flow({ match: { in_port: 2n }, instructions: apply(output(PORT.inPort)) });
    subject.packetOut({ inPort: 2, actions: [output(PORT.table)], data: udp });
    expect(subject.sent()).toEqual([0, 1, 0]);
    const refused = (part: Parameters<Subject['packetOut']>[0]) =>
      refusal(() => subject.packetOut(part));
    expect(refused({ inPort: PORT.any, data: udp })).toBe('bad-request/bad-port');
    expect(refused({ data: udp.subarray(0, 13) })).toBe('bad-request/bad-packet');
    expect(refused({ data: udp, actions: [output(PORT.any)] })).toBe('bad-action/bad-out-port');
    expect(refused({ data: udp, actions: [{ type: 'group', group: 1 }] })).toBe(
      'bad-action/bad-out-group',
    );
    expect(refused({ buffer: 3 })).toBe('bad-request/buffer-unknown');
  });
});

describe('groups (5.6, 6.5)', () => {
  const toGroup = (group: number) => apply({ type: 'group', group }, output(1));

  it('give every bucket a packet of its own, and the flow goes on with its', () => {
    const subject = new Subject();
    subject.group(1, {
      to: [
        [output(2), set('eth_src', 1n)],
        [set('eth_dst', 2n), output(3)],
      ],
    });
    subject.flow({ match: { in_port: 2n }, instructions: toGroup(1) });
    subject.receive(udp, 2);
    expect(subject.taken(1)).toEqual([udp.toString('hex')]);
    // Back where it came from it goes only by IN_PORT.
    expect(subject.sent()).toEqual([0, 0, 1]);
    subject.receive(udp, 2);
    expect(subject.taken(3)[0]?.slice(0, 12)).toBe('000000000002');
    const reply = subject.switch.multipart({ kind: 'group', group: GROUP.all });
    expect(reply).toMatchObject({
      groups: [
        { group: 1, references: 1, packets: 2n, buckets: [{ packets: 2n }, { packets: 2n }] },
      ],
    });
  });

  it('of kind select share by weight, one connection always the same way', () => {
    const subject = new Subject();
    const buckets = [bucket([output(2)], { weight: 1 }), bucket([output(3)], { weight: 3 })];
    subject.group(1, { groupType: 'select', buckets });
    subject.flow({ instructions: apply({ type: 'group', group: 1 }) });
    for (let n = 0; n < 2_000; n++) {
      const frame = Buffer.from(udp);
      frame.writeUInt16BE(n, 34);
      subject.receive(frame);
    }
    const [, few = 0, many = 0] = subject.sent();
    expect(few + many).toBe(2_000);
    expect(many / few).toBeGreaterThan(2.5);
    expect(many / few).toBeLessThan(3.6);
    for (let n = 0; n < 10; n++) subject.receive(udp);
    expect(subject.sent().filter((count) => count > 0)).toEqual([10]);
  });

  it('of kind fast-failover take the first bucket that is live, by port and by group', () => {
    const subject = new Subject();
    const watching = (port: number) => ({ watchPort: port });
    subject.group(2, { groupType: 'fast-failover', buckets: [bucket([output(3)], watching(3))] });
    subject.group(1, {
      groupType: 'fast-failover',
      buckets: [
        bucket([output(2)], watching(2)),
        bucket([{ type: 'group', group: 2 }], { watchGroup: 2 }),
      ],
    });
    subject.flow({ instructions: apply({ type: 'group', group: 1 }) });
    const connect = (port: number, connected: boolean) => {
      subject.port(port).connected = connected;
      subject.switch.engine.portChanged(port);
      subject.receive(udp);
      return subject.sent();
    };
    expect(connect(2, true)).toEqual([0, 1, 0]);
    expect(connect(2, false)).toEqual([0, 0, 1]);
    expect(connect(3, false)).toEqual([0, 0, 0]);
    expect(connect(2, true)).toEqual([0, 1, 0]);
    expect(subject.statuses.map(({ reason }) => reason)).toEqual(Array(4).fill('modify'));
  });

  it('refuse loops, what is not there, and what others point to; take their flows along', () => {
    const subject = new Subject();
    const refused = (group: number, part: Parameters<Subject['group']>[1]) =>
      refusal(() => subject.group(group, part));
    const to = (group: number) => ({ to: [[{ type: 'group', group } as const]] });
    subject.group(1, { to: [[output(2)]] });
    subject.group(2, to(1));
    expect(refused(1, to(2))).toBe('group-mod-failed/group-exists');
    expect(refused(1, { command: 'modify', ...to(2) })).toBe('group-mod-failed/loop');
    expect(refused(3, to(3))).toBe('group-mod-failed/loop');
    expect(refused(3, to(99))).toBe('bad-action/bad-out-group');
    expect(refused(3, { command: 'modify' })).toBe('group-mod-failed/unknown-group');
    expect(refused(GROUP.all, {})).toBe('group-mod-failed/invalid-group');
    expect(refused(3, { groupType: 'indirect' })).toBe('group-mod-failed/invalid-group');
    expect(refused(3, { groupType: 'fast-failover', to: [[]] })).toBe('group-mod-failed/bad-watch');
    expect(refused(1, { command: 'delete' })).toBe('group-mod-failed/chained-group');
    subject.flow({ cookie: 1n, instructions: toGroup(2), flags: FLOW_FLAG.sendFlowRemoved });
    subject.flow({ cookie: 2n, table: 1 });
    subject.group(2, { command: 'delete' });
    expect(subject.cookies()).toEqual([2]);
    expect(subject.removed.map(({ reason }) => reason)).toEqual(['group-delete']);
    subject.group(GROUP.all, { command: 'delete' });
    expect(subject.switch.multipart({ kind: 'group-desc' })).toEqual({
      kind: 'group-desc',
      groups: [],
    });
  });

  it('that multiply do not multiply without end', () => {
    const subject = new Subject();
    subject.group(0, { to: [[output(2)], [output(2)]] });
    for (let n = 1; n < 15; n++) {
      const twice = { type: 'group', group: n - 1 } as const;
      subject.group(n, { to: [[twice], [twice]] });
    }
    subject.flow({ instructions: apply({ type: 'group', group: 14 }) });
    subject.receive(udp);
    expect(subject.sent()[1]).toBeLessThan(4_096);
  });
});

describe('meters (5.7, 6.6)', () => {
  it('drop what is above the rate of a band, and count', () => {
    const subject = new Subject();
    subject.meter({ flags: 2 | 4, bands: [{ type: 'drop', rate: 100, burst: 10 }] });
    subject.flow({ instructions: [{ type: 'meter', meter: 1 }, ...apply(output(2))] });
    for (let n = 0; n < 1_000; n++) {
      subject.now += 1;
      subject.receive(udp);
    }
    expect(subject.sent()[1]).toBe(109);
    expect(subject.switch.multipart({ kind: 'meter', meter: 1 })).toMatchObject({
      meters: [{ meter: 1, flows: 1, packets: 1_000n, bands: [{ packets: 891n }] }],
    });
    subject.meter({ command: 'delete' });
    expect(subject.flows()).toEqual([]);
  });

  it('raise the drop precedence, which later tables see', () => {
    const subject = new Subject();
    subject.meter({
      flags: 2 | 4,
      bands: [{ type: 'dscp-remark', rate: 1, burst: 1, precedence: 1 }],
    });
    subject.flow({ instructions: [{ type: 'meter', meter: 1 }, goto(1)] });
    subject.flow({ table: 1, match: { ...v4, ip_dscp: 10n }, instructions: apply(output(2)) });
    subject.flow({ table: 1, match: { ...v4, ip_dscp: 12n }, instructions: apply(output(3)) });
    const assured = Buffer.from(udp);
    assured[15] = 10 << 2;
    for (let n = 0; n < 3; n++) subject.receive(assured);
    expect(subject.sent()).toEqual([0, 1, 2]);
  });

  it('refuse what cannot be', () => {
    const subject = new Subject();
    const refused = (part: Parameters<Subject['meter']>[0]) => refusal(() => subject.meter(part));
    subject.meter({});
    expect(refused({})).toBe('meter-mod-failed/meter-exists');
    expect(refused({ command: 'modify', meter: 2 })).toBe('meter-mod-failed/unknown-meter');
    expect(refused({ meter: 0 })).toBe('meter-mod-failed/invalid-meter');
    expect(refused({ meter: 2, flags: 3 })).toBe('meter-mod-failed/bad-flags');
    expect(refused({ meter: 2, bands: [{ type: 'drop', rate: 0, burst: 0 }] })).toBe(
      'meter-mod-failed/bad-rate',
    );
    expect(refusal(() => subject.switch.multipart({ kind: 'meter', meter: 9 }))).toBe(
      'meter-mod-failed/unknown-meter',
    );
  });
});

describe('ports (7.2.1, 7.3.4.3)', () => {
  const mod = (subject: Subject, config: number, mask = config) =>
    subject.switch.portMod({
      type: 'port-mod',
      port: 2,
      hardwareAddress: subject.switch.engine.ports.get(2)?.hardwareAddress ?? 0n,
      config,
      mask,
      advertise: 0,
    });

  it.each([
    ['portDown', [0, 0, 1], 0],
    ['noForward', [0, 0, 1], 1],
    ['noRecv', [0, 1, 1], 0],
    ['noPacketIn', [0, 1, 1], 0],
  ] as const)('%s holds until it is taken back', (bit, sent, packetIns) => {
    const subject = new Subject();
    subject.flow({ match: { in_port: 1n }, instructions: apply(output(PORT.flood)) });
    subject.flow({ match: { in_port: 2n }, instructions: apply(toController) });
    mod(subject, PORT_CONFIG[bit]);
    subject.receive(udp);
    subject.receive(udp, 2);
    expect([subject.sent(), subject.packetIns.length]).toEqual([sent, packetIns]);
    mod(subject, 0, PORT_CONFIG[bit]);
    subject.receive(udp);
    subject.receive(udp, 2);
    expect([subject.sent(), subject.packetIns.length]).toEqual([[0, 1, 1], packetIns + 1]);
    expect(subject.statuses.map(({ reason, port }) => [reason, port.config])).toEqual([
      ['modify', PORT_CONFIG[bit]],
      ['modify', 0],
    ]);
  });

  it('are told of when they come and go', () => {
    const subject = new Subject();
    subject.switch.engine.attach(new Sink(9));
    subject.switch.engine.detach(9);
    expect(subject.statuses.map(({ reason, port }) => [reason, port.number])).toEqual([
      ['add', 9],
      ['delete', 9],
    ]);
    expect(refusal(() => subject.switch.multipart({ kind: 'port-stats', port: 9 }))).toBe(
      'bad-request/bad-port',
    );
  });

  it('that patch two switches carry packets both ways, and a ring of them ends', () => {
    const [one, other] = [new Subject(), new Subject()];
    for (const [a, b] of [
      [10, 11],
      [12, 13],
    ] as const)
      PatchPort.connect(
        { number: a, owner: one.switch.engine },
        { number: b, owner: other.switch.engine },
      );
    one.flow({ match: { in_port: 1n }, instructions: apply(output(10)) });
    other.flow({ match: { in_port: 11n }, instructions: apply(output(2), output(13)) });
    one.flow({ match: { in_port: 12n }, instructions: apply(output(2)) });
    one.receive(udp);
    expect([one.sent(), other.sent()]).toEqual([
      [0, 1, 0],
      [0, 1, 0],
    ]);
    one.flow({ match: { in_port: 12n }, instructions: apply(output(2), output(10)) });
    one.receive(udp);
    const [, passes = 0] = one.sent();
    expect(passes).toBeGreaterThan(5);
    expect(passes).toBeLessThan(40);
  });
});

describe('a packet that comes while another is under way', () => {
  it('spoils neither it nor what is remembered of it', () => {
    const frames: string[] = [];
    const arp = golden.arpRequest;
    const owner = new Switch(() => owner.inject(Buffer.from(arp)));
    const port = new Sink(2);
    port.send = (packet) => frames.push(packet.toFrame().toString('hex'));
    owner.attach(port);
    const local = BigInt(PORT.local);
    owner.addFlow({
      table: 0,
      priority: 1,
      match: v4,
      instructions: [...apply(toController), ...write(output(2))],
    });
    owner.addFlow({
      table: 0,
      priority: 1,
      match: { in_port: local },
      instructions: write(output(2)),
    });
    const source = new Sink(1);
    owner.attach(source);
    for (let n = 0; n < 3; n++) {
      owner.receiveFrame(source, Buffer.from(udp), 0, udp.length);
      owner.flush();
    }
    const [a, u] = [arp, udp].map((frame) => frame.toString('hex'));
    expect(frames).toEqual([a, u, a, u, a, u]);
  });
});
