/** The controller's mappings as an agent tells them, and what becomes of them when the agent goes away. */
import { EventEmitter, once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { ApiServer, type MappingsView } from '../../src/api/index.ts';
import { AgentMappings } from '../../src/cli/agent-mappings.ts';
import type { SojournError } from '../../src/common/index.ts';
import { networkSchema } from '../../src/mobility/flows/index.ts';
import { cloud, type DoubleAgent, fakeHandlers, laptop, startDouble } from '../api/double.ts';

const network = networkSchema.parse({
  homePrefixes: ['192.0.2.0/24'],
  gateways: ['cloud', 'laptop'].map((place, index) => ({
    ...{ id: `g-${place}`, datapathId: `000000000000000${index + 1}` },
    uplink: { port: 1, mac: '02:00:00:00:00:01', nextHop: '02:00:00:00:00:02' },
    ...{ guests: { place, port: 3 }, pool4: `10.${index}.0.0/24` },
  })),
});

const told = (place: string, epoch: number): MappingsView => ({
  home: cloud.id,
  places: [cloud, laptop],
  guests: [
    {
      ...{ id: '11111111-1111-4111-8111-111111111111', name: 'desk', number: 2 },
      ...{ mac: '52:54:00:12:34:56', hoa4: '192.0.2.2', hoa6Prefix: '2001:db8:7700:2::/64' },
      ...{ place, epoch, expected: null },
    },
  ],
});

/** An agent's registry, and who follows it. */
class Scene extends EventEmitter<{ changed: []; lost: [string]; back: [] }> {
  readonly lost: string[] = [];
  now: MappingsView = told(laptop.id, 3);
  agent: DoubleAgent | undefined;
  source: AgentMappings | undefined;
  readonly #news = new EventEmitter<{ change: [] }>();
  readonly handlers = fakeHandlers({
    'mappings.watch': async (_input, { emit, signal }) => {
      while (!signal.aborted) {
        emit(this.now);
        await once(this.#news, 'change', { signal }).catch(() => undefined);
      }
      return {};
    },
  });

  async start(): Promise<void> {
    this.agent = await startDouble(this.handlers);
    this.source = await AgentMappings.connect({
      socket: this.agent.socketPath,
      lost: ({ code }) => {
        this.lost.push(code);
        this.emit('lost', code);
      },
      back: () => this.emit('back'),
      remark: ({ text }) => this.lost.push(text),
    });
    this.source.follow(() => this.emit('changed'));
  }

  async tell(next: MappingsView): Promise<void> {
    const changed = once(this, 'changed');
    this.now = next;
    this.#news.emit('change');
    await changed;
  }

  async place(): Promise<string | undefined> {
    return (await this.source?.read(network))?.[0]?.place;
  }
}

let scene: Scene;
afterEach(async () => {
  scene.source?.close();
  await scene.agent?.stop();
});

test('follows what the agent says, but not into the past', async () => {
  scene = new Scene();
  await scene.start();
  expect(await scene.place()).toBe('g-laptop');
  await scene.tell(told(cloud.id, 4));
  expect(await scene.place()).toBe('g-cloud');
  await scene.tell(told(laptop.id, 3));
  expect(await scene.place()).toBe('g-cloud');
  await scene.tell({ ...told(cloud.id, 4), guests: [] });
  expect(await scene.source?.read(network)).toEqual([]);
  expect(scene.lost).toEqual([]);
});

test('keeps what it knows while the agent is away, which is said once, and follows it again', async () => {
  scene = new Scene();
  await scene.start();
  const { server, socketPath } = scene.agent as DoubleAgent;
  const gone = once(scene, 'lost');
  await server.close();
  await gone;
  expect(await scene.place()).toBe('g-laptop');
  // The socket is missing for two attempts.
  if (!scene.lost.includes('agent-not-running')) await once(scene, 'lost');
  scene.now = told(cloud.id, 4);
  const back = once(scene, 'back');
  const again = await ApiServer.listen({
    path: socketPath,
    version: '0.1.0-double',
    handlers: scene.handlers,
  });
  await back;
  expect(await scene.place()).toBe('g-cloud');
  await scene.tell(told(laptop.id, 5));
  expect(await scene.place()).toBe('g-laptop');
  expect(scene.lost).toEqual(['agent-gone', 'agent-not-running']);
  await again.close();
});

test('what cannot be followed is said once, as long as it is so', async () => {
  scene = new Scene();
  await scene.start();
  const small = { ...network, gateways: network.gateways.slice(0, 1) };
  await scene.source?.read(small);
  await scene.source?.read(small);
  expect(scene.lost).toHaveLength(1);
  await scene.source?.read(network);
  await scene.source?.read(small);
  expect(scene.lost).toHaveLength(2);
});

test('does not begin without an agent, or with one that has no registry', async () => {
  scene = new Scene();
  const options = { lost: () => {}, back: () => {}, remark: () => {} };
  const refusal = (socket: string) =>
    AgentMappings.connect({ ...options, socket }).catch((error: SojournError) => error.line);
  expect(await refusal('/nowhere/agent.sock')).toBe(
    'No agent answers at /nowhere/agent.sock. Start the agent of the site that anchors the guests, and give "agent.sock" of its state directory',
  );
  scene.agent = await startDouble();
  expect(await refusal(scene.agent.socketPath)).toContain('mappings.watch');
});
