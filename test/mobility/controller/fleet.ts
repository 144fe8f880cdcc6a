/** Gateways to drive a controller against: embedded switches in this process, or bridges of a real Open vSwitch. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { OpenFlowConnection } from '../../../src/openflow/index.ts';
import { OpenFlowEndpoint, parseController } from '../../../src/switch/agent/index.ts';
import {
  OpenFlowSwitch,
  type Packet,
  type SwitchPort,
  zeroCounters,
} from '../../../src/switch/index.ts';

export interface BridgeSpec {
  readonly id: string;
  readonly datapathId: string;
  readonly ports: readonly number[];
}

export interface Fleet {
  /** Whether the switches offer bundles. */
  readonly bundles: boolean;
  /** Called for every frame that leaves a port. */
  onFrame: (bridge: string, port: number, frame: Buffer) => void;
  /** A frame comes in at a port. */
  send(bridge: string, port: number, frame: Buffer): void;
  /** A connection to the switch, as tools and controllers that dial have it. */
  open(bridge: string): Promise<Socket>;
  /** Resolves when packets go by the flows that there are now, and by no cached ones. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** @param controller the port of a controller on the loopback, which the bridges dial. */
export async function embedded(specs: readonly BridgeSpec[], controller?: number): Promise<Fleet> {
  const directory = await mkdtemp(join(tmpdir(), 'sojourn-fleet-'));
  const bridges = new Map<string, OpenFlowSwitch>();
  const endpoints: OpenFlowEndpoint[] = [];
  const fleet: Fleet = {
    bundles: false,
    onFrame: () => {},
    send: (bridge, port, frame) => bridges.get(bridge)?.engine.inject(frame, port),
    open: (bridge) => open(join(directory, `${bridge}.mgmt`)),
    settled: async () => {},
    close: async () => {
      await Promise.all(endpoints.map((endpoint) => endpoint.close()));
      await rm(directory, { recursive: true, force: true });
    },
  };
  for (const { id, datapathId, ports } of specs) {
    const bridge = new OpenFlowSwitch({ datapathId: BigInt(`0x${datapathId}`) });
    for (const number of ports)
      bridge.engine.attach(new Tap(number, (frame) => fleet.onFrame(id, number, frame)));
    const target = controller === undefined ? [] : [`tcp:127.0.0.1:${controller}`];
    const endpoint = new OpenFlowEndpoint({
      datapath: bridge,
      controllers: target.map(parseController),
    });
    await endpoint.listen({ type: 'punix', path: join(directory, `${id}.mgmt`) });
    bridges.set(id, bridge);
    endpoints.push(endpoint);
  }
  return fleet;
}

class Tap implements SwitchPort {
  readonly number: number;
  readonly mtu = 65_535;
  readonly counters = zeroCounters();
  readonly #frame: (frame: Buffer) => void;

  constructor(number: number, frame: (frame: Buffer) => void) {
    this.number = number;
    this.#frame = frame;
  }

  send(packet: Packet): void {
    this.#frame(Buffer.from(packet.toFrame()));
  }

  flush(): void {}
}

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

/** With a dummy datapath: no root and no interfaces; a port is a socket, a frame there stands behind its 16-bit length. */
export async function openVSwitch(
  specs: readonly BridgeSpec[],
  controller?: number,
): Promise<Fleet> {
  const directory = await mkdtemp(join(tmpdir(), 'sojourn-ovs-'));
  const at = (name: string) => join(directory, name);
  const env = { OVS_RUNDIR: directory, OVS_DBDIR: directory, OVS_LOGDIR: directory };
  const run = (file: string, ...args: string[]) => execa(file, args, { env });
  const start = (file: string, ...args: string[]) =>
    execa(file, args, { env, reject: false, stdio: 'ignore' });
  await run('ovsdb-tool', 'create', at('conf.db'), SCHEMA);
  const db = `unix:${at('db.sock')}`;
  const remote = `--remote=punix:${at('db.sock')}`;
  const database = start('ovsdb-server', remote, `--unixctl=${at('db.ctl')}`, at('conf.db'));
  const vsctl = (...args: string[]) =>
    run('ovs-vsctl', `--db=${db}`, '--retry', '--timeout=20', ...args);
  await vsctl('--no-wait', 'init');
  const daemon = start(
    'ovs-vswitchd',
    ...['--enable-dummy=override', '--disable-system', `--unixctl=${at('ctl')}`, db],
  );
  const sockets = new Map<string, Socket>();
  const path = (id: string, port: number) => at(`${id}-${port}.port`);
  const bridges = specs.flatMap(({ id, datapathId, ports }) => [
    ...['--', 'add-br', id],
    ...['--', 'set', 'Bridge', id, 'datapath_type=dummy', 'fail-mode=secure'],
    ...[`other_config:datapath-id=${datapathId}`],
    ...(controller === undefined
      ? []
      : [
          ...['--', 'set-controller', id, `tcp:127.0.0.1:${controller}`],
          ...['--', 'set', 'Controller', id, 'max_backoff=1000'],
        ]),
    ...ports.flatMap((port) => [
      ...['--', 'add-port', id, `${id}-${port}`],
      ...['--', 'set', 'Interface', `${id}-${port}`, 'type=dummy', `ofport_request=${port}`],
      `options:pstream=punix:${path(id, port)}`,
    ]),
  ]);
  await vsctl(...bridges);
  const fleet: Fleet = {
    bundles: true,
    onFrame: () => {},
    send: (bridge, port, frame) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(frame.length);
      sockets.get(`${bridge}-${port}`)?.write(Buffer.concat([length, frame]));
    },
    open: (bridge) => open(at(`${bridge}.mgmt`)),
    // A barrier says that the tables are changed; what was cached of them is looked at by other threads, behind that; so it is thrown away.
    settled: async () => {
      await run('ovs-appctl', `--target=${at('ctl')}`, 'revalidator/purge');
    },
    close: async () => {
      for (const socket of sockets.values()) socket.destroy();
      daemon.kill();
      database.kill();
      await Promise.all([daemon, database]);
      await rm(directory, { recursive: true, force: true });
    },
  };
  for (const { id, ports } of specs)
    for (const port of ports) {
      const socket = connect(path(id, port));
      await once(socket, 'connect');
      socket.on('error', () => {});
      socket.on(
        'data',
        lengthPrefixed((frame) => fleet.onFrame(id, port, frame)),
      );
      sockets.set(`${id}-${port}`, socket);
    }
  return fleet;
}

function lengthPrefixed(frame: (bytes: Buffer) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      frame(Buffer.from(rest.subarray(2, end)));
      rest = rest.subarray(end);
    }
  };
}

async function open(path: string): Promise<Socket> {
  const stream = connect(path);
  await once(stream, 'connect');
  return stream;
}

/** A tool's end of a connection. */
export async function speak(stream: Socket): Promise<OpenFlowConnection> {
  const ready = Promise.withResolvers<void>();
  const connection = new OpenFlowConnection({
    stream,
    handler: { ready: ready.resolve, message: () => {}, closed: ready.reject },
  });
  await ready.promise;
  return connection;
}
