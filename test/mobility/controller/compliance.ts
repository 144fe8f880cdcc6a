/** One controller, and what it must do with any switch: `embedded.test.ts` runs it with the embedded switch, `test/integration/controller.test.ts` with a real Open vSwitch. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type ChangeReport,
  Controller,
  type ControllerEvent,
  type ControllerOptions,
} from '../../../src/mobility/controller/index.ts';
import { COOKIE } from '../../../src/mobility/flows/index.ts';
import { flowMod, GROUP, PORT, TABLE } from '../../../src/openflow/index.ts';
import { type BridgeSpec, type Fleet, speak } from './fleet.ts';
import { ADDRESSES, GUEST, guestAt, HOSTS, Internet, network, type Seen, specs } from './sites.ts';

/** Controllers of a fleet, one after the other. */
class Seat {
  readonly events: ControllerEvent[] = [];
  readonly #fleet: Fleet;
  #controller: Controller | undefined;
  #generation = 1n;
  #wake = () => {};

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  get controller(): Controller {
    if (this.#controller === undefined) throw new Error('nobody controls');
    return this.#controller;
  }

  /** Another controller in the place of the last one. @returns what the repairs of all gateways did. */
  async take(options: Partial<ControllerOptions> = {}): Promise<Repaired[]> {
    await this.#controller?.close();
    this.events.length = 0;
    const controller = new Controller({
      network,
      mappings: [guestAt('site-a')],
      generation: this.#generation++,
      onEvent: (event) => {
        this.events.push(event);
        this.#wake();
      },
      ...options,
    });
    this.#controller = controller;
    for (const { id } of specs) controller.accept(await this.#fleet.open(id), id);
    for (;;) {
      const repairs = this.events.filter((event) => event.type === 'repaired');
      if (repairs.length === specs.length) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    await this.#fleet.settled();
    return this.events.filter((event) => event.type === 'repaired');
  }

  async move(place: string): Promise<ChangeReport> {
    const report = await this.controller.move('guest-2', place);
    await this.#fleet.settled();
    return report;
  }
}

type Repaired = Extract<ControllerEvent, { type: 'repaired' }>;

const sum = (repairs: readonly Repaired[]) =>
  repairs.reduce(
    (all, { put, deleted, kept }) => ({
      put: all.put + put,
      deleted: all.deleted + deleted,
      kept: all.kept + kept,
    }),
    { put: 0, deleted: 0, kept: 0 },
  );

export function complies(start: (specs: readonly BridgeSpec[]) => Promise<Fleet>): void {
  let fleet: Fleet;
  let seat: Seat;
  let internet: Internet;

  beforeAll(async () => {
    fleet = await start(specs);
    internet = new Internet(fleet);
    seat = new Seat(fleet);
    await seat.take();
  }, 60_000);

  afterAll(async () => {
    await seat.controller.close();
    await fleet.close();
  });

  async function sent(text: string, send: () => void): Promise<Seen> {
    const arrival = internet.arrival(text);
    send();
    return arrival;
  }

  async function goBothWays(place: 'site-a' | 'site-b'): Promise<void> {
    for (const version of [4, 6] as const) {
      const { host, hoa } = ADDRESSES[version];
      const to = `to ${place} ${version}`;
      expect(await sent(to, () => internet.toGuest(version, to))).toMatchObject({
        ...{ bridge: place, port: GUEST, source: host, destination: hoa },
        ...{ eth: '020000000102', intact: true },
      });
      const from = `from ${place} ${version}`;
      expect(await sent(from, () => internet.fromGuest(place, version, from))).toMatchObject({
        ...{ bridge: 'site-c', port: HOSTS, source: hoa, destination: host, intact: true },
      });
    }
  }

  test('offers bundles where the switch does', () => {
    for (const event of seat.events)
      if (event.type === 'repaired') expect(event.bundles).toBe(fleet.bundles);
  });

  test('a guest is reached by its HoA, before and after it has moved, and no HoA is between sites', async () => {
    await goBothWays('site-a');
    const report = await seat.move('site-b');
    expect(report).toMatchObject({ behind: [] });
    expect(new Set(report.gateways)).toEqual(new Set(['site-a', 'site-b', 'site-c']));
    await goBothWays('site-b');
    expect(internet.between).not.toContain(ADDRESSES[4].hoa);
    expect(internet.between).not.toContain(ADDRESSES[6].hoa);
    await seat.move('site-a');
    await goBothWays('site-a');
  });

  test('what still comes to the place that the guest left is sent on', async () => {
    await seat.move('site-b');
    const { host, moa } = ADDRESSES[4];
    const text = 'late';
    const late = await sent(text, () => internet.straight('site-a', host, moa['site-a'], text));
    expect(late).toMatchObject({ bridge: 'site-b', port: GUEST, destination: ADDRESSES[4].hoa });
    await seat.move('site-a');
  });

  test('where a guest is expected it can send before it has moved, and then it is reached there', async () => {
    await seat.controller.put({ ...guestAt('site-a'), next: 'site-b' });
    await fleet.settled();
    await goBothWays('site-a');
    const { host, hoa, moa } = ADDRESSES[4];
    internet.between.clear();
    const early = await sent('early', () => internet.fromGuest('site-b', 4, 'early'));
    expect(early).toMatchObject({ bridge: 'site-c', port: HOSTS, source: hoa });
    expect([...internet.between]).toEqual([moa['site-b'], host]);
    const ahead = await sent('ahead', () =>
      internet.straight('site-b', host, moa['site-b'], 'ahead'),
    );
    expect(ahead).toMatchObject({ bridge: 'site-b', port: GUEST, destination: hoa });
    await seat.move('site-b');
    await goBothWays('site-b');
    await seat.move('site-a');
  });

  test('another controller finds everything as it should be and changes nothing', async () => {
    const first = sum(await seat.take());
    const { put, deleted, kept } = sum(await seat.take());
    expect({ put, deleted }).toEqual({ put: 0, deleted: 0 });
    expect(kept).toBe(first.kept + first.put);
    await goBothWays('site-a');
  });

  test('repairs what differs, and leaves alone what is not its own', async () => {
    const tool = await speak(await fleet.open('site-c'));
    const ours = { cookie: COOKIE.value, cookieMask: COOKIE.mask };
    const all = { table: TABLE.all, outPort: PORT.any, outGroup: GROUP.any, match: {} };
    const read = async (cookies: { cookie: bigint; cookieMask: bigint }) =>
      (await tool.multipart({ kind: 'flow', ...all, ...cookies })).flows;
    const flows = await read(ours);
    const [gone, changed] = flows.filter(({ priority }) => priority === 100);
    if (gone === undefined || changed === undefined) throw new Error('no flows');
    tool.send(
      flowMod({ ...gone, type: 'flow-mod', command: 'delete-strict', flags: 0, cookieMask: 0n }),
    );
    tool.send(flowMod({ ...changed, type: 'flow-mod', flags: 0, instructions: [] }));
    const stale = { ...changed, match: { ...changed.match, in_port: 77n } };
    tool.send(flowMod({ ...stale, type: 'flow-mod', flags: 0 }));
    const foreign = { cookie: 5n, cookieMask: (1n << 64n) - 1n };
    tool.send(flowMod({ cookie: 5n, priority: 7, match: { in_port: 99n } }));
    await tool.barrier();
    expect(sum(await seat.take())).toMatchObject({ put: 2, deleted: 1 });
    expect(await read(ours)).toHaveLength(flows.length);
    expect(await read(foreign)).toHaveLength(1);
    await goBothWays('site-a');
    tool.close();
  });

  test('mappings come and go', async () => {
    const report = await seat.controller.put(guestAt('site-b', 3));
    expect(report.behind).toEqual([]);
    await seat.controller.remove('guest-3');
    expect(sum(await seat.take())).toMatchObject({ put: 0, deleted: 0 });
  });

  test('the lazy way: the first packet asks, and arrives', async () => {
    await seat.take({ way: 'lazy' });
    await goBothWays('site-a');
    await seat.move('site-b');
    await goBothWays('site-b');
    // What was asked for belongs to the gateway that has it, whoever controls it.
    const repairs = await seat.take({ way: 'lazy', mappings: [guestAt('site-b')] });
    const asked = repairs.filter(({ gateway }) => gateway === 'site-c');
    expect(sum(asked).put).toBe(0);
    await goBothWays('site-b');
  });
}
