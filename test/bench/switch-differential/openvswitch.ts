/** An Open vSwitch of its own with a dummy datapath: no root, no interfaces; controlled over its management socket. */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import {
  CONTROLLER_LENGTH,
  decodeMessage,
  encodeMessage,
  type Message,
  NO_BUFFER,
  ourHello,
  PORT,
} from '../../../src/openflow/index.ts';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
export const PORTS = [1, 2, 3];

export interface Reference {
  /**
   * Sends messages, and last a packet that must come back: packets come behind the reply to a barrier, but in order.
   * @returns what came back before it, without what the switch says by itself.
   */
  ask(messages: readonly Message[]): Promise<Message[]>;
  close(): Promise<void>;
}

export async function startOpenVSwitch(): Promise<Reference> {
  const directory = await mkdtemp(join(tmpdir(), 'sojourn-ovs-'));
  const at = (name: string) => join(directory, name);
  const env = { OVS_RUNDIR: directory, OVS_DBDIR: directory, OVS_LOGDIR: directory };
  const run = (file: string, ...args: string[]) => execa(file, args, { env });
  await run('ovsdb-tool', 'create', at('conf.db'), SCHEMA);
  const database = execa(
    'ovsdb-server',
    [`--remote=punix:${at('db.sock')}`, `--unixctl=${at('db.ctl')}`, at('conf.db')],
    { env, reject: false, stdio: 'ignore' },
  );
  const db = `unix:${at('db.sock')}`;
  const vsctl = (...args: string[]) =>
    run('ovs-vsctl', `--db=${db}`, '--retry', '--timeout=20', ...args);
  await vsctl('--no-wait', 'init');
  const daemon = execa(
    'ovs-vswitchd',
    ['--enable-dummy=override', '--disable-system', `--unixctl=${at('ctl')}`, db],
    { env, reject: false, stdio: 'ignore' },
  );
  const ports = PORTS.flatMap((number) => [
    ...['--', 'add-port', 'br0', `p${number}`],
    ...['--', 'set', 'Interface', `p${number}`, 'type=dummy', `ofport_request=${number}`],
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
      'datapath_type=dummy',
      'fail-mode=secure',
    ],
    ...['--', 'set', 'Open_vSwitch', '.', 'other_config:vlan-limit=2', ...ports],
  );
  const socket = connect(at('br0.mgmt'));
  const ask = speak(socket);
  // A connection of the management socket gets no packets before it says how much of them it wants.
  // And none for a TTL that is over by default.
  const all = { master: 7, slave: 7 };
  await ask([
    ourHello,
    { type: 'set-config', flags: 0, missSendLength: 0xffff },
    { type: 'set-async', packetIn: all, portStatus: all, flowRemoved: all },
  ]);
  return {
    ask,
    close: async () => {
      socket.destroy();
      daemon.kill();
      database.kill();
      await Promise.all([daemon, database]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const LAST = Buffer.concat([
  Buffer.from('ffffffffffff02000000000088b6', 'hex'),
  Buffer.alloc(46, 0x5a),
]);
const lastPacket: Message = {
  type: 'packet-out',
  buffer: NO_BUFFER,
  inPort: PORT.controller,
  actions: [{ type: 'output', port: PORT.controller, maxLength: CONTROLLER_LENGTH.noBuffer }],
  data: LAST,
};

function speak(socket: Socket): Reference['ask'] {
  let received = Buffer.alloc(0);
  let answers: Message[] = [];
  let xid = 1;
  let done: ((answers: Message[]) => void) | undefined;
  let failed: ((error: Error) => void) | undefined;
  socket.on('error', (error) => failed?.(error));
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 8 && received.length >= received.readUInt16BE(2)) {
      const length = received.readUInt16BE(2);
      const { message } = decodeMessage(received.subarray(0, length));
      received = received.subarray(length);
      if (message.type === 'echo-request')
        socket.write(encodeMessage(0, { type: 'echo-reply', data: message.data }));
      else if (message.type === 'packet-in' && LAST.equals(message.data)) {
        const all = answers;
        answers = [];
        done?.(all);
      } else if (message.type !== 'hello' && message.type !== 'port-status') answers.push(message);
    }
  });
  return (messages) =>
    new Promise((resolve, reject) => {
      done = resolve;
      failed = reject;
      const all = [...messages, lastPacket];
      socket.write(Buffer.concat(all.map((message) => encodeMessage(xid++, message))));
    });
}
