/** The embedded switch over real sockets, driven by our own end of a connection. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type Envelope,
  FLOW_FLAG,
  type FlowMod,
  flowMod,
  formatMessage,
  GROUP,
  type Match,
  OpenFlowConnection,
  PORT,
} from '../../../src/openflow/index.ts';
import {
  type EndpointEvent,
  type EndpointOptions,
  OpenFlowEndpoint,
} from '../../../src/switch/agent/index.ts';
import { OpenFlowSwitch, type SwitchPort, zeroCounters } from '../../../src/switch/index.ts';

let directory: string;
let device: OpenFlowSwitch;
const cleanups: (() => Promise<void> | void)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'endpoint-'));
  device = new OpenFlowSwitch({ datapathId: 0xabcn });
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const path = (name: string) => join(directory, name);

/** A port that keeps what it is sent. */
function addPort(number: number): { sent: Buffer[]; receive(frame: Buffer): void } {
  const sent: Buffer[] = [];
  const port: SwitchPort = {
    number,
    mtu: 9000,
    counters: zeroCounters(),
    send: (packet) => sent.push(packet.toFrame()),
    flush() {},
  };
  device.engine.attach(port);
  return {
    sent,
    receive(frame) {
      device.engine.receiveFrame(port, frame, 0, frame.length);
      device.engine.flush();
    },
  };
}

function endpoint(options: Partial<EndpointOptions> = {}) {
  const events: EndpointEvent[] = [];
  let changed = () => {};
  const made = new OpenFlowEndpoint({
    datapath: device,
    onEvent(event) {
      events.push(event);
      changed();
    },
    ...options,
  });
  cleanups.push(() => made.close());
  const until = async (type: EndpointEvent['type'], count = 1) => {
    while (events.filter((event) => event.type === type).length < count)
      await new Promise<void>((resolve) => {
        changed = resolve;
      });
  };
  return { endpoint: made, events, until };
}

interface Controller {
  readonly connection: OpenFlowConnection;
  readonly got: Envelope[];
  /** Every message but those waited for by xid, when so many have come. */
  until(count: number): Promise<string[]>;
}

async function controllerOn(stream: Socket): Promise<Controller> {
  const got: Envelope[] = [];
  let changed = () => {};
  const connection = await new Promise<OpenFlowConnection>((resolve, reject) => {
    const made: OpenFlowConnection = new OpenFlowConnection({
      stream,
      handler: {
        ready: () => resolve(made),
        message(envelope) {
          got.push(envelope);
          changed();
        },
        closed: reject,
      },
    });
  });
  cleanups.push(() => connection.close());
  return {
    connection,
    got,
    async until(count) {
      while (got.length < count)
        await new Promise<void>((resolve) => {
          changed = resolve;
        });
      return got.map(formatMessage);
    },
  };
}

/** A controller that the switch dials; each connection is handed out once. */
async function server(name: string): Promise<{ accept(): Promise<Controller>; server: Server }> {
  const listening = createServer();
  const sockets: Socket[] = [];
  listening.on('connection', (socket) => sockets.push(socket));
  listening.listen(path(name));
  await once(listening, 'listening');
  cleanups.push(() => void listening.close());
  return {
    server: listening,
    async accept() {
      if (sockets.length === 0) await once(listening, 'connection');
      return controllerOn(sockets.shift() as Socket);
    },
  };
}

function flow(match: Match, changes: Partial<FlowMod> = {}): FlowMod {
  return flowMod({ cookie: 5n, priority: 10, match, ...changes });
}

const toController = (maxLength?: number) =>
  flow(
    {},
    {
      instructions: [
        {
          type: 'apply-actions',
          actions: [{ type: 'output', port: PORT.controller, maxLength }],
        },
      ],
    },
  );

function frame(to: number, from: number): Buffer {
  const bytes = Buffer.alloc(100);
  bytes.writeUIntBE(0x0200_0000_0000 + to, 0, 6);
  bytes.writeUIntBE(0x0200_0000_0000 + from, 6, 6);
  bytes.writeUInt16BE(0x88b5, 12);
  return bytes;
}

async function two() {
  const [first, second] = [await server('a'), await server('b')];
  const made = endpoint({
    controllers: [
      { type: 'unix', path: path('a') },
      { type: 'unix', path: path('b') },
    ],
  });
  const [a, b] = [await first.accept(), await second.accept()];
  await made.until('connected', 2);
  return { ...made, a, b, first, second };
}

test('a new master makes the old one a slave, which may look and not touch', async () => {
  const { a, b } = await two();
  const claim = (who: Controller, role: 'master' | 'slave', generation: bigint) =>
    who.connection.request({ type: 'role-request', role, generation }, 'role-reply');
  expect(await claim(a, 'master', 1n)).toMatchObject({ role: 'master', generation: 1n });
  expect(await claim(b, 'master', 2n)).toMatchObject({ role: 'master', generation: 2n });
  await expect(claim(a, 'master', 1n)).rejects.toThrow(/stale/);
  const asked = await a.connection.request(
    { type: 'role-request', role: 'nochange', generation: 0n },
    'role-reply',
  );
  expect(asked).toMatchObject({ role: 'slave', generation: 2n });

  a.connection.send(flow({}), 77);
  await a.connection.barrier();
  expect((await a.until(1))[0]).toMatch(/^error xid=0x4d bad-request\/is-slave/);
  expect(
    (
      await a.connection.multipart({
        kind: 'flow',
        table: 0xff,
        outPort: PORT.any,
        outGroup: GROUP.any,
        cookie: 0n,
        cookieMask: 0n,
        match: {},
      })
    ).flows,
  ).toEqual([]);
  b.connection.send(flow({}));
  await b.connection.barrier();
  expect((await a.connection.multipart({ kind: 'table' })).tables[0]?.active).toBe(1);
});

test('packets, ports and removed flows are told to those who want to know', async () => {
  const { a, b } = await two();
  const port = addPort(1);
  const status = [await a.until(1), await b.until(1)];
  expect(status.map(([text]) => text)).toEqual([
    expect.stringMatching(/^port-status .*reason=add port={number=1 /),
    expect.stringMatching(/^port-status .*reason=add/),
  ]);
  b.connection.send({
    type: 'set-async',
    packetIn: { master: 0, slave: 0 },
    portStatus: { master: 0, slave: 0 },
    flowRemoved: { master: 0b100, slave: 0 },
  });
  await b.connection.barrier();
  a.connection.send(toController(40));
  await a.connection.barrier();
  port.receive(frame(2, 1));
  const packet = (await a.until(2))[1] as string;
  expect(packet).toMatch(
    /^packet-in .*totalLength=100 reason=action table=0 cookie=0x5 match={in_port=1}/,
  );
  const { message } = a.got[1] as Envelope;
  expect(message.type === 'packet-in' && message.data.length).toBe(40);

  a.connection.send(flow({ in_port: 3n }, { flags: FLOW_FLAG.sendFlowRemoved }));
  a.connection.send(flow({ in_port: 3n }, { command: 'delete' }));
  expect((await b.until(2))[1]).toMatch(/^flow-removed .*reason=delete .*match={in_port=3}/);
  expect(b.got).toHaveLength(2);
  const config = await b.connection.request({ type: 'get-async-request' }, 'get-async-reply');
  expect(config.flowRemoved).toEqual({ master: 4, slave: 0 });
});

test('flows time out by themselves, and the controller hears of it', async () => {
  const { a } = await two();
  a.connection.send(flow({}, { hardTimeout: 1, flags: FLOW_FLAG.sendFlowRemoved }));
  expect((await a.until(1))[0]).toMatch(/^flow-removed .*reason=hard-timeout .*durationSeconds=1/);
});

test('the length that set-config sets is that of its connection', async () => {
  const { a, b } = await two();
  b.connection.send({ type: 'set-config', flags: 1, missSendLength: 60 });
  await b.connection.barrier();
  const ask = (who: Controller) =>
    who.connection.request({ type: 'get-config-request' }, 'get-config-reply');
  expect(await ask(b)).toMatchObject({ flags: 1, missSendLength: 60 });
  expect(await ask(a)).toMatchObject({ flags: 1, missSendLength: 128 });
});

test('what a switch does not do is refused with its error', async () => {
  const { a } = await two();
  const send = a.connection;
  send.send({
    type: 'experimenter',
    experimenter: 0x2320,
    experimenterType: 1,
    data: new Uint8Array(),
  });
  send.send({ type: 'barrier-reply' });
  send.send({ type: 'set-config', flags: 7, missSendLength: 0 });
  await send.barrier();
  expect((await a.until(3)).map((text) => text.replace(/^error xid=\S+ (\S+) .*/, '$1'))).toEqual([
    'bad-request/bad-experimenter',
    'bad-request/bad-type',
    'switch-config-failed/bad-flags',
  ]);
  await expect(
    send.multipart({
      kind: 'experimenter',
      experimenter: 1,
      experimenterType: 1,
      data: new Uint8Array(),
    }),
  ).rejects.toThrow(/bad-experimenter/);
});

test('who connects by himself hears nothing until he asks for it', async () => {
  const { endpoint: made, until } = endpoint();
  await made.listen({ type: 'punix', path: path('tools') });
  const tool = await controllerOn(connect(path('tools')));
  await until('connected');
  const port = addPort(1);
  tool.connection.send(toController());
  await tool.connection.barrier();
  port.receive(frame(2, 1));
  await tool.connection.barrier();
  expect(tool.got).toEqual([]);
  tool.connection.send({ type: 'set-config', flags: 0, missSendLength: 0xffff });
  await tool.connection.barrier();
  port.receive(frame(2, 1));
  expect((await tool.until(1))[0]).toMatch(/^packet-in .*totalLength=100/);
});

test('a lost controller is dialled again, and the flows are still there', async () => {
  const { a, first, until } = await two();
  a.connection.send(flow({ in_port: 1n }));
  await a.connection.barrier();
  a.connection.close();
  await until('unreachable');
  const again = await first.accept();
  expect((await again.connection.multipart({ kind: 'table' })).tables[0]?.active).toBe(1);
});

test('a controller that is not there is tried again until it is', async () => {
  const { until } = endpoint({ controllers: [{ type: 'unix', path: path('late') }] });
  await until('unreachable');
  const late = await server('late');
  const controller = await late.accept();
  const features = await controller.connection.request(
    { type: 'features-request' },
    'features-reply',
  );
  expect(features.datapathId).toBe(0xabcn);
});

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

test('standalone it learns addresses, and gives way to a controller', async () => {
  const late = await server('late');
  const [one, two, three] = [addPort(1), addPort(2), addPort(3)];
  const { until, events } = endpoint({
    failMode: 'standalone',
    standaloneAfterMs: 0,
    controllers: [{ type: 'unix', path: path('nobody') }],
  });
  await until('standalone');
  one.receive(frame(20, 10));
  await tick();
  expect([one, two, three].map(({ sent }) => sent.length)).toEqual([0, 1, 1]);
  two.receive(frame(10, 20));
  await tick();
  expect([one, two, three].map(({ sent }) => sent.length)).toEqual([1, 1, 1]);
  one.receive(frame(20, 10));
  await tick();
  expect([one, two, three].map(({ sent }) => sent.length)).toEqual([1, 2, 1]);
  // It moved to port 3.
  three.receive(frame(10, 20));
  await tick();
  one.receive(frame(20, 10));
  await tick();
  expect([one, two, three].map(({ sent }) => sent.length)).toEqual([2, 2, 2]);
  late.server.close();

  const nobody = await server('nobody');
  const controller = await nobody.accept();
  await until('standalone', 2);
  expect(events.at(-1)).toEqual({ type: 'standalone', active: false });
  expect((await controller.connection.multipart({ kind: 'table' })).tables[0]?.active).toBe(0);
});

test('a controller that does not read misses packets, and its connection and the switch go on', async () => {
  const { a, b } = await two();
  const port = addPort(1);
  a.connection.send(toController());
  await a.connection.barrier();
  b.connection.send({
    type: 'set-async',
    packetIn: { master: 0, slave: 0 },
    portStatus: { master: 0, slave: 0 },
    flowRemoved: { master: 0, slave: 0 },
  });
  await b.connection.barrier();
  // Nothing of this is read before the loop ends, as it is all in one turn.
  const big = Buffer.concat([frame(2, 1), Buffer.alloc(1400)]);
  for (let i = 0; i < 5000; i++) port.receive(big);
  await a.connection.barrier();
  const packets = a.got.filter(({ message }) => message.type === 'packet-in').length;
  expect(packets).toBeGreaterThan(100);
  expect(packets).toBeLessThan(1000);
});
