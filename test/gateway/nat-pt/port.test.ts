import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AddressTable, NatPtPort, readNatPtPort } from '../../../src/gateway/index.ts';
import {
  ETH_TYPE,
  ipToBytes,
  OpenFlowSwitch,
  type Packet,
  zeroCounters,
} from '../../../src/switch/index.ts';

const MACS = Buffer.from('020000000001020000000002', 'hex');

test('what flows send to the port comes back from it in the other family', () => {
  const { engine } = new OpenFlowSwitch({ datapathId: 1n });
  const frames: Buffer[] = [];
  const end = {
    ...{ number: 1, mtu: 1500, counters: zeroCounters(), flush: () => {} },
    send: (packet: Packet) => frames.push(packet.toFrame()),
  };
  const port = new NatPtPort({
    ...{ number: 2, owner: engine, mtu6: 1500, mtu4: 1500 },
    addresses: new AddressTable(
      ['2001:db8:64::/96'],
      [{ ipv4: '192.0.2.2', ipv6: '2001:db8:1::2' }],
    ),
  });
  engine.attach(end);
  engine.attach(port);
  const pass = (from: number, to: number) =>
    engine.addFlow({
      table: 0,
      priority: 1,
      match: { in_port: BigInt(from) },
      instructions: [{ type: 'apply-actions', actions: [{ type: 'output', port: to }] }],
    } as never);
  pass(1, 2);
  pass(2, 1);
  const echo = Buffer.from(
    '45000020000000004001000000000000000000000800f6fc0102030400000000',
    'hex',
  );
  ipToBytes('203.0.113.10').copy(echo, 12);
  ipToBytes('192.0.2.2').copy(echo, 16);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += echo.readUInt16BE(at);
  echo.writeUInt16BE(~((sum & 0xffff) + (sum >> 16)) & 0xffff, 10);
  const frame = Buffer.concat([MACS, Buffer.from('0800', 'hex'), echo]);
  engine.receiveFrame(end, frame, 0, frame.length);
  engine.flush();
  expect(frames).toHaveLength(1);
  const [six = Buffer.alloc(0)] = frames;
  expect(six.subarray(0, 12)).toEqual(MACS);
  expect(six.readUInt16BE(12)).toBe(ETH_TYPE.ipv6);
  expect(six.subarray(22, 54)).toEqual(
    Buffer.concat([ipToBytes('2001:db8:64::cb00:710a'), ipToBytes('2001:db8:1::2')]),
  );
  expect(port.counters).toMatchObject({ txPackets: 1, rxPackets: 1 });
  frame[14 + 9] = 0x11;
  engine.receiveFrame(end, frame, 0, frame.length);
  engine.flush();
  expect(port.drops).toEqual({ malformed: 1 });
});

test.each([
  ['no file', undefined],
  ['no JSON', 'prefixes'],
  ['an unknown word', '{"prefix": []}'],
  ['an address that is none', '{"pairs": [{"ipv4": "192.0.2", "ipv6": "::1"}]}'],
  ['an MTU that IPv6 has not', '{"mtu6": 1000}'],
])('%s is no translator', async (_, content) => {
  const directory = mkdtempSync(join(tmpdir(), 'natpt-'));
  const file = join(directory, 'addresses.json');
  if (content !== undefined) writeFileSync(file, content);
  const { engine } = new OpenFlowSwitch({ datapathId: 1n });
  await expect(readNatPtPort(file, 1, engine)).rejects.toMatchObject({ code: 'natpt-settings' });
  writeFileSync(file, '{"prefixes": ["64:ff9b::/96"]}');
  await expect(readNatPtPort(file, 1, engine)).resolves.toMatchObject({ name: 'natpt1' });
  rmSync(directory, { recursive: true });
});
