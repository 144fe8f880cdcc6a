/** `sojourn switch` as a process, driven by the real ovs-ofctl and carrying frames between TAPs in a namespace. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { createServer } from 'node:tls';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OpenFlowConnection } from '../../src/openflow/index.ts';
import { endProcess } from '../lab/index.ts';
import { Namespace } from '../lab/namespace.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

let directory: string;
let place: Namespace;
let device: ChildProcess;
let output = '';
let target: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ofs-'));
  place = await Namespace.create('openflow', {});
  await place.run(['ip', 'link', 'set', 'dev', 'lo', 'up']);
  await makeCertificates();
  target = `unix:${directory}/s.mgmt`;
  const argv = [
    ...[process.execPath, MAIN, 'switch', '--datapath-id', '0xabc', '--listen', target],
    ...['--listen', 'pssl:6654', '--listen', 'ptcp:6655'],
    ...['--port', '1=tap:left', '--port', '2=tap:right'],
    ...['--port', `3=stream:${directory}/guest.sock`],
    ...['--controller', `ssl:127.0.0.1:6653`],
    ...['--private-key', file('switch.key'), '--certificate', file('switch.pem')],
    ...['--ca-cert', file('ca.pem')],
  ];
  device = await place.spawn(argv, { stdout: 'pipe', stderr: file('stderr') });
  device.stdout?.on('data', (text) => {
    output += text;
  });
  while (!output.includes('"ready"')) {
    if (device.stdout === null || device.exitCode !== null) throw new Error(output);
    await once(device.stdout, 'data');
  }
});

afterAll(async () => {
  if (device !== undefined) await endProcess(device);
  await place?.close();
  await rm(directory, { recursive: true, force: true });
});

const file = (name: string) => join(directory, name);

async function ofctl(...args: string[]): Promise<string> {
  const { all } = await execa('ovs-ofctl', ['-O', 'OpenFlow13', ...args], {
    all: true,
    reject: false,
    timeout: 20_000,
    env: { OVS_RUNDIR: directory },
  });
  return all;
}

/** Flows without what changes from run to run. */
async function flows(...match: string[]): Promise<string[]> {
  const text = await ofctl('dump-flows', target, ...match);
  return text
    .split('\n')
    .filter((line) => !line.startsWith('OFPST_FLOW'))
    .map((line) => line.replace(/ cookie=0x0,| duration=\S+|n_(packets|bytes)=\d+, /g, '').trim())
    .filter((line) => line !== '');
}

async function makeCertificates(): Promise<void> {
  const openssl = (...args: string[]) => execa('openssl', args, { cwd: directory });
  const request = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  for (const name of ['ca', 'stranger']) {
    const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`];
    await openssl(...request, '-x509', ...files);
  }
  for (const name of ['switch', 'controller']) {
    await openssl(
      ...request,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
    await openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key'],
      ...['-CAcreateserial', '-out', `${name}.pem`],
    );
  }
}

describe('ovs-ofctl', () => {
  test('show, dump-desc, dump-tables, dump-ports', async () => {
    const show = await ofctl('show', target);
    expect(show).toMatch(/dpid:0000000000000abc/);
    expect(show).toMatch(/ 1\(left\): addr:/);
    expect(show).toMatch(/ 2\(right\): addr:/);
    expect(await ofctl('dump-desc', target)).toMatch(/Manufacturer: Sojourn/);
    expect(await ofctl('dump-tables', target)).toMatch(/table 0:\n\s+active=\d+, lookup=/);
    expect(await ofctl('dump-ports', target)).toMatch(/3 ports\n\s+port\s+1: rx pkts=/);
    expect(await ofctl('dump-ports', target, '2')).toMatch(/1 ports\n\s+port\s+2: rx pkts=/);
    expect(await ofctl('dump-table-features', target)).toMatch(/instructions: meter apply_actions/);
    expect(await ofctl('queue-get-config', target, '1')).toMatch(/QUEUE_GET_CONFIG_REPLY/);
    expect(await ofctl('queue-stats', target)).toMatch(/0 queues/);
  });

  test('add-flow, add-flows, mod-flows, replace-flows, diff-flows, del-flows', async () => {
    await ofctl('add-flow', target, 'priority=10,ip,nw_dst=10.0.0.0/8,actions=dec_ttl,output:2');
    await writeFile(
      file('flows'),
      [
        'table=0,priority=1,actions=goto_table:1',
        'table=1,cookie=0x5,tcp6,ipv6_dst=2001:db8::/32,tp_dst=80,actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:1',
        'table=1,idle_timeout=300,send_flow_rem,arp,actions=CONTROLLER:128',
      ].join('\n'),
    );
    expect(await ofctl('add-flows', target, file('flows'))).toBe('');
    expect(await flows()).toEqual([
      'table=0, priority=10,ip,nw_dst=10.0.0.0/8 actions=dec_ttl,output:2',
      'table=0, priority=1 actions=goto_table:1',
      'cookie=0x5, table=1, tcp6,ipv6_dst=2001:db8::/32,tp_dst=80 actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:1',
      'table=1, idle_timeout=300, send_flow_rem arp actions=CONTROLLER:128',
    ]);
    await ofctl('mod-flows', target, 'table=1,arp,actions=output:1');
    await ofctl(
      '--strict',
      'mod-flows',
      target,
      'priority=10,ip,nw_dst=10.0.0.0/8,actions=output:1',
    );
    expect(await flows('out_port=1')).toEqual([
      'table=0, priority=10,ip,nw_dst=10.0.0.0/8 actions=output:1',
      expect.stringContaining('tcp6'),
      expect.stringContaining('arp actions=output:1'),
    ]);
    await ofctl('del-flows', target, 'cookie=0x5/-1');
    expect(await flows()).toHaveLength(3);
    await writeFile(
      file('other'),
      'table=0,priority=1,actions=goto_table:2\ntable=2,ipv6,actions=output:2\n',
    );
    expect(await ofctl('replace-flows', target, file('other'))).toBe('');
    expect(await ofctl('diff-flows', target, file('other'))).toBe('');
    expect(await flows()).toHaveLength(2);
    expect(await ofctl('dump-aggregate', target)).toMatch(/flow_count=2/);
    expect(await ofctl('del-flows', target)).toBe('');
    expect(await flows()).toEqual([]);
  });

  test('thousands of flows come back in parts', async () => {
    const lines = Array.from(
      { length: 3000 },
      (_, i) => `ipv6,ipv6_dst=2001:db8::${i.toString(16)},actions=output:1`,
    );
    await writeFile(file('many'), lines.join('\n'));
    expect(await ofctl('add-flows', target, file('many'))).toBe('');
    expect(await flows()).toHaveLength(3000);
    await ofctl('del-flows', target);
  });

  test('groups and meters', async () => {
    await ofctl(
      'add-group',
      target,
      'group_id=1,type=select,bucket=weight:10,output:1,bucket=weight:20,set_field:192.0.2.9->ip_dst,output:2',
    );
    expect(await ofctl('add-group', target, 'group_id=1,type=all,bucket=output:1')).toMatch(
      /OFPGMFC_GROUP_EXISTS/,
    );
    expect(await ofctl('dump-groups', target)).toMatch(
      /group_id=1,type=select,bucket=weight:10,actions=output:1,bucket=weight:20,actions=set_field:192.0.2.9->ip_dst,output:2/,
    );
    expect(await ofctl('dump-group-stats', target)).toMatch(/group_id=1,.*bucket1:packet_count=0/);
    expect(await ofctl('dump-group-features', target)).toMatch(/Types:\s+0xf/);
    await ofctl(
      'add-meter',
      target,
      'meter=1,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=200',
    );
    expect(await ofctl('dump-meters', target)).toMatch(/type=drop rate=1000 burst_size=200/);
    await ofctl('add-flow', target, 'in_port=1,actions=meter:1,group:1');
    expect(await ofctl('meter-stats', target)).toMatch(/meter:1 flow_count:1/);
    await ofctl('del-meter', target, 'meter=1');
    await ofctl('del-groups', target);
    expect(await flows()).toEqual([]);
  });

  test('errors are those of the specification', async () => {
    expect(await ofctl('add-flow', target, 'actions=group:77')).toMatch(/OFPBAC_BAD_OUT_GROUP/);
    expect(await ofctl('del-flows', target, 'reg0=1')).toMatch(/OFPBMC_BAD_FIELD|cannot encode/);
    expect(await ofctl('add-flow', target, 'actions=load:1->NXM_NX_REG0[]')).toMatch(
      /OFPBAC_BAD_(VENDOR|SET_TYPE|TYPE)/,
    );
  });

  test('ports and fragments are configured', async () => {
    await ofctl('mod-port', target, '3', 'no-forward');
    expect(await ofctl('dump-ports-desc', target)).toMatch(/ 3\(port3\).*\n\s+config:\s+NO_FWD/);
    await ofctl('mod-port', target, '3', 'forward');
    await ofctl('set-frags', target, 'drop');
    expect(await ofctl('get-frags', target)).toBe('drop');
    await ofctl('set-frags', target, 'normal');
  });

  test('monitor shows packets, removed flows and ports', async () => {
    const monitor = spawn('ovs-ofctl', ['-O', 'OpenFlow13', 'monitor', target, '65534'], {
      env: { ...process.env, OVS_RUNDIR: directory },
    });
    let text = '';
    for (const stream of [monitor.stdout, monitor.stderr])
      stream.on('data', (chunk) => {
        text += chunk;
      });
    const until = async (pattern: RegExp) => {
      while (!pattern.test(text)) {
        if (monitor.exitCode !== null) throw new Error(text);
        await Promise.race([
          once(monitor.stdout, 'data'),
          once(monitor.stderr, 'data'),
          once(monitor, 'close'),
        ]);
      }
    };
    try {
      const packet = '0200000000020200000000010800450000140000000040010000c0000201c0000202';
      // Until it has asked for packets; what is sent before that it does not see.
      for (let tries = 0; tries < 100 && !/PACKET_IN/.test(text); tries++) {
        await ofctl('packet-out', target, `in_port=CONTROLLER,packet=${packet},actions=CONTROLLER`);
      }
      await until(/OFPT_PACKET_IN \(OF1\.3\).*total_len=34 .*\(via action\)/);
      await ofctl('add-flow', target, 'send_flow_rem,in_port=2,actions=output:1');
      await ofctl('del-flows', target);
      await until(/OFPT_FLOW_REMOVED .*in_port=2 reason=delete/);
      await ofctl('mod-port', target, '3', 'down');
      await until(/OFPT_PORT_STATUS .*MOD: 3\(port3\)/);
      await ofctl('mod-port', target, '3', 'up');
    } finally {
      await endProcess(monitor);
    }
  });
});

test('frames cross from one TAP to another by the flows', async () => {
  await place.run(['ip', 'addr', 'add', '10.99.0.1/24', 'dev', 'left']);
  await ofctl('add-flow', target, 'in_port=1,actions=output:2');
  const capture = await place.spawn(['tcpdump', '-i', 'right', '-c', '1', '-l', '-n', 'arp'], {
    stdout: 'pipe',
  });
  let text = '';
  capture.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  const ended = once(capture, 'exit');
  // ARP requests for somebody who is not there.
  const ping = await place.spawn(['ping', '-n', '-i', '0.2', '10.99.0.2'], {});
  await ended;
  await endProcess(ping);
  expect(text).toMatch(/Request who-has 10\.99\.0\.2 tell 10\.99\.0\.1/);
  expect(await ofctl('dump-ports', target, '2')).toMatch(/tx pkts=[1-9]/);
  await ofctl('del-flows', target);
});

test('a controller is dialled over TLS, and one that the authority does not know is not believed', async () => {
  const relay = await place.spawn([process.execPath, '-e', RELAY, file('controller.sock')], {});
  const listen = async (name: string) => {
    const [key, cert, ca] = await Promise.all(
      [`${name}.key`, `${name}.pem`, 'ca.pem'].map((one) => readFile(file(one))),
    );
    const server = createServer({ key, cert, ca, requestCert: true, rejectUnauthorized: true });
    await rm(file('controller.sock'), { force: true });
    server.listen(file('controller.sock'));
    return server;
  };
  try {
    const stranger = await listen('stranger');
    while (
      !/ssl:127\.0\.0\.1:6653 cannot be reached: [^"]*(self-signed|unable to verify)/.test(output)
    )
      await once(device.stdout as Readable, 'data');
    stranger.close();
    const server = await listen('controller');
    const [socket] = await once(server, 'secureConnection');
    const connection = await new Promise<OpenFlowConnection>((resolve, reject) => {
      const made: OpenFlowConnection = new OpenFlowConnection({
        stream: socket,
        handler: { ready: () => resolve(made), message() {}, closed: reject },
      });
    });
    const features = await connection.request({ type: 'features-request' }, 'features-reply');
    expect(features.datapathId).toBe(0xabcn);
    connection.close();
    server.close();
  } finally {
    await endProcess(relay);
  }
});

test('tools come in over TCP, and over TLS with a certificate of the authority only', async () => {
  const show = (to: string, ...tls: string[]) =>
    place.run(['ovs-ofctl', '-O', 'OpenFlow13', '--timeout=10', ...tls, 'show', to]);
  expect(await show('tcp:127.0.0.1:6655')).toMatch(/dpid:0000000000000abc/);
  const as = (name: string) => [
    '-p',
    file(`${name}.key`),
    '-c',
    file(`${name}.pem`),
    '-C',
    file('ca.pem'),
  ];
  expect(await show('ssl:127.0.0.1:6654', ...as('controller'))).toMatch(/dpid:0000000000000abc/);
  await expect(show('ssl:127.0.0.1:6654', ...as('stranger'))).rejects.toThrow();
});

/** The switch is in the namespace, and so must be the controller's port; the controller itself is in this process. */
const RELAY = `
const net = require('node:net');
net.createServer((client) => {
  const server = net.connect(process.argv[1]);
  client.pipe(server).pipe(client);
  client.on('error', () => {});
  server.on('error', () => client.destroy());
}).listen(6653, '127.0.0.1');
`;

test('it ends when it is told to, and leaves nothing', async () => {
  device.kill('SIGTERM');
  const [code] = await once(device, 'exit');
  expect(code).toBe(0);
  expect(await place.run(['ip', '-br', 'link'])).not.toMatch(/left|right/);
});

test('one that is killed leaves nothing either', async () => {
  const own = ['--datapath-id', '2', '--listen', `unix:${file('k.mgmt')}`, '--port', '1=tap:brief'];
  const killed = await place.spawn([process.execPath, MAIN, 'switch', ...own], {
    stdout: 'pipe',
    stderr: file('stderr'),
  });
  let said = '';
  for await (const text of killed.stdout ?? []) {
    said += text;
    if (said.includes('"ready"')) break;
  }
  expect(await place.run(['ip', '-br', 'link'])).toMatch(/brief/);
  killed.kill('SIGKILL');
  await expect
    .poll(() => place.run(['ip', '-br', 'link']), { timeout: 10_000 })
    .not.toMatch(/brief/);
});
