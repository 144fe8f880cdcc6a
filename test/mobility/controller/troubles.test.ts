/** What goes wrong between a controller and its switches, and what the others notice of it. */
import { afterEach, expect, test } from 'vitest';
import { Controller, type ControllerEvent } from '../../../src/mobility/controller/index.ts';
import type { FlowMod } from '../../../src/openflow/index.ts';
import { TestClock } from '../../openflow/test-clock.ts';
import { FakeSwitch } from './fake-switch.ts';
import { guestAt, network, specs } from './sites.ts';

class Lab {
  readonly clock = new TestClock();
  readonly events: ControllerEvent[] = [];
  readonly switches = new Map<string, FakeSwitch>();
  readonly controller = new Controller({
    network,
    mappings: [guestAt('site-a')],
    clock: this.clock,
    generation: 1n,
    onEvent: (event) => {
      this.events.push(event);
      for (const look of [...this.#looks]) look();
    },
  });
  readonly #looks = new Set<() => void>();

  connect(id: string, prepare: (one: FakeSwitch) => void = () => {}): FakeSwitch {
    const spec = specs.find((one) => one.id === id);
    const one = new FakeSwitch(BigInt(`0x${spec?.datapathId ?? 'dead'}`), this.clock);
    prepare(one);
    this.switches.set(id, one);
    this.controller.accept(one.stream, id);
    return one;
  }

  event<T extends ControllerEvent['type']>(
    type: T,
    is: (event: Extract<ControllerEvent, { type: T }>) => boolean = () => true,
  ): Promise<Extract<ControllerEvent, { type: T }>> {
    return new Promise((resolve) => {
      const look = () => {
        for (const event of this.events) {
          if (event.type !== type) continue;
          const found = event as Extract<ControllerEvent, { type: T }>;
          if (!is(found)) continue;
          this.#looks.delete(look);
          resolve(found);
          return;
        }
      };
      this.#looks.add(look);
      look();
    });
  }

  async all(): Promise<void> {
    for (const { id } of specs) {
      this.connect(id);
      await this.event('repaired', ({ gateway }) => gateway === id);
    }
  }

  async close(): Promise<void> {
    await this.controller.close();
    for (const one of this.switches.values()) one.close();
  }
}

let lab: Lab;
afterEach(() => lab.close());

const turns = async () => {
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
};

test('a switch that is no gateway is sent away', async () => {
  lab = new Lab();
  lab.connect('stranger');
  expect((await lab.event('failed')).reason.code).toBe('gateway-unknown');
  expect(await lab.event('lost')).toMatchObject({ gateway: undefined });
});

test('a switch that has a newer controller is left to it, and keeps its flows', async () => {
  lab = new Lab();
  const one = lab.connect('site-a', (it) => {
    it.staleRole = true;
  });
  expect((await lab.event('failed')).reason.code).toBe('gateway-role');
  expect(one.mods).toEqual([]);
});

test('who does not say which gateway it is, is given up', async () => {
  lab = new Lab();
  const { stream } = new FakeSwitch(1n, lab.clock);
  stream.pause();
  const silent = lab.connect('site-a');
  silent.stream.destroy();
  await lab.event('lost');
  expect(lab.controller.ready()).toEqual([]);
});

test('a flow that is refused keeps no other from being there, and is tried again', async () => {
  lab = new Lab();
  let refusing = true;
  const bad = (mod: FlowMod) => mod.match.ipv4_dst !== undefined && mod.priority === 100;
  const one = lab.connect('site-c', (it) => {
    it.refuses = (mod) => refusing && bad(mod);
  });
  const failed = await lab.event('failed');
  expect(failed.reason.code).toBe('gateway-flows');
  expect(failed.reason.message).toMatch(/refused 1 changes.*table-full/s);
  const before = one.flows.size;
  expect(before).toBeGreaterThan(10);
  refusing = false;
  await turns();
  lab.clock.advance(1_000);
  expect(await lab.event('repaired')).toMatchObject({ put: 1, deleted: 0, kept: before });
});

test('the newest mappings count, also for those before that wait for a gateway', async () => {
  lab = new Lab();
  await lab.all();
  /** More than are changed at once; with IPv6 only, which has room for them. */
  const guests = (count: number, place: 'site-a' | 'site-b') =>
    Array.from({ length: count }, (_, index) => {
      const { hoa4, ...guest } = guestAt(place);
      const number = 1000 + index;
      const places = Object.fromEntries(
        ['a', 'b'].map((id) => [`site-${id}`, { port: 3, moa6: `2001:db8:${id}::${number}` }]),
      );
      const hoa6 = `2001:db8:7700:${number}::5`;
      return { ...guest, guest: `guest-${number}`, number, hoa6, places };
    });
  const at = (moved: number) => [...guests(moved, 'site-b'), ...guests(300, 'site-a').slice(moved)];
  await lab.controller.replace(network, at(0));
  const mute = lab.switches.get('site-c') as FakeSwitch;
  mute.answersBarriers = false;
  const first = lab.controller.replace(network, at(300));
  await turns();
  // Those that have not had their turn stay where they are.
  await lab.controller.replace(network, at(256));
  mute.answersBarriers = true;
  lab.clock.advance(5_000);
  await turns();
  lab.clock.advance(5_000);
  await first;
  const moved = lab.controller.mappings().filter(({ place }) => place === 'site-b');
  expect(moved).toHaveLength(256);
  expect((await lab.event('moved')).place).toBe('site-b');
});

test('a gateway that does not answer is left behind; the others are moved, and it is repaired', async () => {
  lab = new Lab();
  await lab.all();
  const mute = lab.switches.get('site-c') as FakeSwitch;
  mute.answersBarriers = false;
  const moved = lab.controller.move('guest-2', 'site-b');
  await turns();
  const steered = () =>
    lab.switches
      .get('site-a')
      ?.mods.some((mod) => mod.instructions.some(({ type }) => type === 'goto-table'));
  lab.switches.get('site-a')?.mods.splice(0);
  expect(steered()).toBe(false);
  // The others wait for it a while only.
  lab.clock.advance(500);
  await turns();
  expect(steered()).toBe(true);
  lab.clock.advance(4_500);
  expect(await moved).toMatchObject({ behind: ['site-c'] });
  mute.answersBarriers = true;
  lab.events.length = 0;
  lab.clock.advance(1_000);
  expect((await lab.event('repaired')).gateway).toBe('site-c');
});

test('a gateway that is away gets the move when it is back', async () => {
  lab = new Lab();
  await lab.all();
  const away = lab.switches.get('site-c') as FakeSwitch;
  away.close();
  await lab.event('lost');
  expect(await lab.controller.move('guest-2', 'site-b')).toMatchObject({ behind: ['site-c'] });
  lab.events.length = 0;
  const back = lab.connect('site-c', (it) => {
    for (const [key, flow] of away.flows) it.flows.set(key, flow);
  });
  expect(await lab.event('repaired')).toMatchObject({ deleted: 0 });
  // Both address families: the way to the guest, and its new sender's address.
  expect(back.mods).toHaveLength(4);
});

test('a switch that connects again before its loss is noticed takes the place of the old connection', async () => {
  lab = new Lab();
  await lab.all();
  const old = lab.switches.get('site-a') as FakeSwitch;
  lab.events.length = 0;
  lab.connect('site-a');
  await lab.event('repaired');
  await turns();
  expect(old.closed).toBe(true);
  expect(new Set(lab.controller.ready())).toEqual(new Set(specs.map(({ id }) => id)));
});

test('the place that a guest left forgets it after a while', async () => {
  lab = new Lab();
  await lab.all();
  const old = lab.switches.get('site-a') as FakeSwitch;
  const before = old.flows.size;
  await lab.controller.move('guest-2', 'site-b');
  expect(lab.controller.mappings()[0]).toMatchObject({ place: 'site-b', from: 'site-a' });
  old.mods.splice(0);
  lab.clock.advance(10_000);
  await turns();
  expect(lab.controller.mappings()[0]).not.toHaveProperty('from');
  expect(old.mods.every(({ command }) => command === 'delete-strict')).toBe(true);
  expect(old.flows.size).toBeLessThan(before);
});

test('moves of one guest are made one after the other, and the last one counts', async () => {
  lab = new Lab();
  await lab.all();
  const moves = ['site-b', 'site-a', 'site-b'].map((place) =>
    lab.controller.move('guest-2', place),
  );
  await Promise.all(moves);
  expect(lab.controller.mappings()[0]).toMatchObject({ place: 'site-b' });
  await expect(lab.controller.move('guest-2', 'site-c')).rejects.toMatchObject({
    code: 'mapping-place',
  });
  await expect(lab.controller.move('nobody', 'site-a')).rejects.toMatchObject({
    code: 'guest-unknown',
  });
  expect(lab.controller.mappings()[0]).toMatchObject({ place: 'site-b' });
});

test('a switch that complains without end is heard 64 times', async () => {
  lab = new Lab();
  await lab.all();
  const one = lab.switches.get('site-a') as FakeSwitch;
  for (let n = 0; n < 1_000; n++) one.complain();
  await lab.controller.move('guest-2', 'site-b');
  expect(lab.events.filter(({ type }) => type === 'complaint')).toHaveLength(64);
});
