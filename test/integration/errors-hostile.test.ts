/**
 * What programs and guests that mean no good can do to real agents: nothing. They go on serving, other guests' traffic
 * goes on, and no packet leaves under an address that is not its guest's.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GuestView } from '../../src/api/index.ts';
import { RawClient } from '../api/raw.ts';
import type { TinyConsole } from '../lab/tiny-guest.ts';
import { ErrorsLab, expectReadable, type LabAgent, SITE_PORT } from './errors-lab.ts';

const MIB = 1024 ** 2;
const NOISE = join(import.meta.dirname, 'errors-noise.ts');
/** Somebody beyond the site's TAP. */
const OUTSIDE = '198.51.100.1';
const GATEWAY = '10.77.0.1';

let lab: ErrorsLab;
let device: LabAgent;
let site: LabAgent;

beforeAll(async () => {
  lab = await ErrorsLab.create();
  await lab.namespace.ip(`address add ${OUTSIDE}/32 dev lo`);
  device = lab.device();
  site = lab.site('cloud', {}, SITE_PORT, ['--tap', 'sjerr0']);
  await lab.join(device, site);
});
afterAll(async () => lab?.[Symbol.asyncDispose]());

/** The same agents and datapaths serve, and are connected to each other. */
async function expectServing(pids: Record<string, number>): Promise<void> {
  expect(await servers()).toEqual(pids);
  const places = await device.call('place.list', {});
  expect(places).toContainEqual(expect.objectContaining({ name: 'cloud', connected: true }));
}

async function servers(): Promise<Record<string, number>> {
  const entries: [string, number][] = [];
  for (const agent of [device, site]) {
    const { agent: info, datapath } = await agent.call('status', {});
    entries.push([agent.name, info.pid]);
    if (datapath.running) entries.push([`${agent.name}-datapath`, datapath.pid]);
  }
  return Object.fromEntries(entries);
}

describe('on the API socket', () => {
  const line = (text: string) => Buffer.from(`${text}\n`);
  const call = (name: string, input: unknown) => line(JSON.stringify({ id: 1, call: name, input }));

  test.each<[string, Buffer, string]>([
    ['garbage', randomBytes(64 * 1024), 'message-malformed'],
    ['a line that is no message', line('{"hello":"world"}'), 'message-malformed'],
    ['a line that is too long', Buffer.alloc(2 * MIB, 0x61), 'line-too-long'],
    ['a call that does not exist', call('guest.steal', {}), 'call-unknown'],
    ['a call with the wrong input', call('guest.start', { guest: 7 }), 'input-invalid'],
  ])('%s is answered with an error', async (_name, bytes, code) => {
    const pids = await servers();
    const client = await RawClient.connect(join(device.state, 'agent.sock'));
    // Random bytes contain a line end sooner or later.
    client.socket.write(Buffer.concat([bytes, Buffer.from('\n')]));
    const [, answer] = await client.lines(2);
    expect(answer).toMatchObject({ error: { code } });
    client.socket.destroy();
    await expectServing(pids);
  });

  test('half a message, or too many programs, harm nobody', async () => {
    const pids = await servers();
    const half = await RawClient.connect(join(device.state, 'agent.sock'));
    half.socket.write('{"id":1,"call":"guest.li');
    half.socket.end();
    await half.ended;
    const many = await Promise.all(
      Array.from({ length: 70 }, () => RawClient.connect(join(device.state, 'agent.sock'))),
    );
    const refused = await device.cli('status');
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(
      /Too many programs are connected to the agent\. Close some of them and try again/,
    );
    expectReadable(refused.stderr);
    for (const { socket } of many) socket.destroy();
    await expect.poll(async () => (await device.cli('status')).code).toBe(0);
    await expectServing(pids);
  });
});

test.each([
  ['of the agent', SITE_PORT, 'sojourn-session'],
  ['of the tunnel', SITE_PORT + 1, 'sojourn-tunnel'],
])(
  'on the TLS port %s garbage, oversize and truncated messages, strangers and idlers harm nobody',
  async (_name, port, alpn) => {
    const pids = await servers();
    const noise = [process.execPath, NOISE, '127.0.0.1', String(port), alpn];
    expect(await lab.namespace.run(noise)).toBe('done\n');
    await expectServing(pids);
    const { invite } = await site.ok<{ invite: string }>('invite');
    await device.ok('pair', invite);
  },
);

describe('a guest', () => {
  let mallory: TinyConsole;
  let alice: TinyConsole;
  let own: string;
  let other: string;

  beforeAll(async () => {
    await site.ok('image', 'import', await lab.tinyImage());
    const limit = ['--image', 'tiny', '--overlay-limit', '8M'];
    const start = async (name: string) => {
      const { network } = await site.ok<GuestView>('guest', 'create', name, ...limit);
      await site.ok('guest', 'start', name);
      const shell = await site.shell(name);
      await shell.run(
        `ip link set eth0 up; ip addr add ${network.hoa4}/24 dev eth0; ip route add default via ${GATEWAY}`,
      );
      return { shell, address: network.hoa4 };
    };
    ({ shell: mallory, address: own } = await start('mallory'));
    ({ shell: alice, address: other } = await start('alice'));
    // Counts what comes out of the TAP, by its source.
    await lab.namespace.run(['nft', '-f', '-'], {
      input: `table netdev t {
        counter own { }
        counter foreign { }
        chain c {
          type filter hook ingress device "sjerr0" priority 0
          ip saddr 10.77.0.200 counter name foreign
          ip saddr ${own} counter name own
          arp saddr ip 10.77.0.200 counter name foreign
        }
      }\n`,
    });
  });
  afterAll(() => {
    mallory?.close();
    alice?.close();
  });

  const left = async (counter: string) => {
    const text = await lab.namespace.run(['nft', '-j', 'list', 'counter', 'netdev', 't', counter]);
    return Number(/"packets": ?(\d+)/.exec(text)?.[1]);
  };
  const drops = async () => {
    const { datapath } = await site.call('status', {});
    return datapath.running ? (datapath.drops.spoofed ?? 0) : Number.NaN;
  };
  /** Ends with 0 whatever becomes of the pings. */
  const pingFrom = (source: string) => `ping -c 2 -W 1 -I ${source} ${OUTSIDE} >/dev/null; true`;

  test('that takes an address which is not its own reaches nobody with it', async () => {
    await mallory.run(`ping -c 2 -W 5 ${OUTSIDE} >/dev/null`);
    const before = [await left('own'), await drops()];
    expect(before[0]).toBeGreaterThanOrEqual(2);
    await mallory.run(`ip addr add 10.77.0.200/24 dev eth0; ${pingFrom('10.77.0.200')}`);
    expect(await left('foreign')).toBe(0);
    expect(await drops()).toBeGreaterThan(before[1] ?? 0);
    const dropped = await drops();
    await mallory.run(`ip addr add ${other}/24 dev eth0; ${pingFrom(other)}`);
    expect(await drops()).toBeGreaterThan(dropped);
    await mallory.run(`ip addr del ${other}/24 dev eth0; ip addr del 10.77.0.200/24 dev eth0`);
    await alice.run(`ping -c 2 -W 5 ${OUTSIDE} >/dev/null`);
    const shown = await site.cli('status');
    expect(shown.stdout).toMatch(/dropped packets: .*spoofed \d+/);
  });

  test('that takes another MAC address is not heard until it has its own again', async () => {
    const mac = (await mallory.run('cat /sys/class/net/eth0/address')).trim();
    const before = [await left('own'), await drops()];
    const change = (to: string) =>
      `ip link set eth0 down; ip link set eth0 address ${to}; ip link set eth0 up; ip route add default via ${GATEWAY}`;
    // It knows the gateway's address already, so that nothing has to be asked before.
    const known = `arp -s ${GATEWAY} 02:53:4f:4a:00:01`;
    await mallory.run(`${change('52:54:00:66:66:66')}; ${known}; ${pingFrom(own)}`);
    expect(await left('own')).toBe(before[0]);
    expect(await drops()).toBeGreaterThan(before[1] ?? 0);
    await mallory.run(`${change(mac)}; ping -c 2 -W 5 ${OUTSIDE} >/dev/null`);
    expect(await left('own')).toBeGreaterThan(before[0] ?? 0);
  });

  test('that floods takes neither network nor agent from the others', async () => {
    const before = await left('own');
    const sink = `require('net').createServer((s) => s.resume()).listen(9, () => console.log('up'))`;
    const listener = await lab.namespace.spawn([process.execPath, '-e', sink], { stdout: 'pipe' });
    if (listener.stdout !== null) await once(listener.stdout, 'data');
    await mallory.run(
      `for i in 1 2; do nc ${OUTSIDE} 9 </dev/zero >/dev/null 2>&1 & ping -A -s 1300 ${OUTSIDE} >/dev/null 2>&1 & done`,
    );
    await expect.poll(() => left('own'), { timeout: 30_000 }).toBeGreaterThan(before + 5000);
    const pings = await lab.namespace.run([
      'ping',
      '-n',
      '-c',
      '20',
      '-i',
      '0.1',
      '-W',
      '5',
      other,
    ]);
    expect(pings).toMatch(/ 20 received/);
    await alice.run(`ping -c 2 -W 5 ${OUTSIDE} >/dev/null`);
    expect(await site.stateOf('mallory')).toBe('running');
    await site.ok('guest', 'stop', 'mallory', '--force');
    expect(await site.stateOf('alice')).toBe('running');
  });
});
