/**
 * Switches between two TAPs of a namespace: ours behind its adapters, and Open vSwitch's userspace datapath. A process writes frames
 * into one TAP; what comes out of the other is counted by the kernel.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { startTapAdapter } from '../../lab/index.ts';
import { Namespace } from '../../lab/namespace.ts';
import { addressOf, frameTo, NEXT_HOP, type Rate, rateOf } from './traffic.ts';

const SECONDS = 2;
const WARM_UP_MS = 700;
const TAPS = ['swbench1', 'swbench2'] as const;
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
const QUIET = { 'net.ipv6.conf.all.disable_ipv6': 1, 'net.ipv6.conf.default.disable_ipv6': 1 };

export type Subject = 'embedded' | 'openvswitch';

/** Frames a second through a switch with so many flows, to all of their destinations. */
export async function measureTaps(
  subject: Subject,
  frameSizes: readonly number[],
  flows: number,
): Promise<Rate[]> {
  const directory = await mkdtemp(join(tmpdir(), 'sojourn-bench-'));
  const namespace = await Namespace.create('switch-bench', {});
  try {
    await namespace.sysctl(QUIET);
    const start = subject === 'embedded' ? startEmbedded : startOpenVSwitch;
    await start(namespace, directory, flows);
    const rates: Rate[] = [];
    for (const frameBytes of frameSizes)
      rates.push(rateOf(frameBytes, flows, await measure(namespace, frameBytes, flows)));
    return rates;
  } finally {
    await namespace.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(namespace: Namespace, frameBytes: number, flows: number): Promise<number> {
  const sender = await namespace.spawn([
    '/usr/bin/python3',
    join(import.meta.dirname, 'tap-sender.py'),
    TAPS[0],
    `${frameBytes}`,
    frameTo(0, frameBytes).toString('hex'),
    `${flows}`,
    `${SECONDS + 2}`,
  ]);
  await sleep(WARM_UP_MS);
  const [before, start] = [await received(namespace), performance.now()];
  await sleep(SECONDS * 1000);
  const seconds = (performance.now() - start) / 1000;
  const rate = ((await received(namespace)) - before) / seconds;
  if (sender.exitCode === null) await new Promise((resolve) => sender.once('exit', resolve));
  return rate;
}

/** Packets that the second TAP was given by its switch. */
async function received(namespace: Namespace): Promise<number> {
  const shown = await namespace.run(['ip', '-j', '-s', 'link', 'show', 'dev', TAPS[1]]);
  return JSON.parse(shown)[0].stats64.rx.packets;
}

async function startEmbedded(
  namespace: Namespace,
  directory: string,
  flows: number,
): Promise<void> {
  const sockets = TAPS.map((name) => join(directory, name));
  const subject = await namespace.spawn(
    [process.execPath, join(import.meta.dirname, 'switch-process.ts'), ...sockets, `${flows}`],
    { stdout: 'pipe' },
  );
  for await (const line of subject.stdout ?? []) if (`${line}`.includes('ready')) break;
  for (const [index, name] of TAPS.entries()) {
    await namespace.ip(`tuntap add dev ${name} mode tap`, `link set dev ${name} mtu 1500 up`);
    await startTapAdapter(
      namespace,
      name,
      `stream,server=off,addr.type=unix,addr.path=${sockets[index]}`,
    );
  }
}

async function startOpenVSwitch(
  namespace: Namespace,
  directory: string,
  flows: number,
): Promise<void> {
  const at = (name: string) => join(directory, name);
  const env = { OVS_RUNDIR: directory, OVS_DBDIR: directory, OVS_LOGDIR: directory };
  const db = `unix:${at('db.sock')}`;
  await execa('ovsdb-tool', ['create', at('conf.db'), SCHEMA]);
  const database = [
    'ovsdb-server',
    `--remote=punix:${at('db.sock')}`,
    `--unixctl=${at('db.ctl')}`,
    at('conf.db'),
  ];
  await namespace.spawn(database, { env });
  const vsctl = (...args: string[]) =>
    execa('ovs-vsctl', [`--db=${db}`, '--retry', '--timeout=30', ...args], { env });
  await vsctl('--no-wait', 'init');
  await namespace.spawn(['ovs-vswitchd', `--unixctl=${at('ctl')}`, db], { env });
  // The userspace datapath makes a TAP of what the kernel's would call internal.
  const ports = TAPS.flatMap((name, index) => [
    ...['--', 'add-port', 'br0', name, '--', 'set', 'Interface', name],
    ...['type=internal', `ofport_request=${index + 1}`],
  ]);
  await vsctl(
    ...[
      '--',
      'add-br',
      'br0',
      '--',
      'set',
      'Bridge',
      'br0',
      'datapath_type=netdev',
      'fail-mode=secure',
    ],
    ...ports,
  );
  for (const name of TAPS) await namespace.ip(`link set dev ${name} mtu 1500 up`);
  const lines = Array.from({ length: flows }, (_, n) =>
    [
      `table=0,priority=1,ip,nw_dst=${addressOf(n)}`,
      `actions=dec_ttl,set_field:${NEXT_HOP.replace(/..(?=.)/g, '$&:')}->eth_dst,output:2`,
    ].join(','),
  );
  await execa('ovs-ofctl', ['-O', 'OpenFlow13', 'add-flows', `unix:${at('br0.mgmt')}`, '-'], {
    env,
    input: lines.join('\n'),
  });
}
