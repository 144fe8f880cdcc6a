/** `sojourn controller` as a process, killed and started again while packets go through the gateways. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embedded, type Fleet, openVSwitch } from '../mobility/controller/fleet.ts';
import { guestAt, Internet, network, specs } from '../mobility/controller/sites.ts';
import { ControllerProcess, freePort } from './controller-process.ts';

const EVERY_MS = 5;

/** Datagrams both ways, each with a number; what is missing in the end was lost. */
class Traffic {
  readonly #internet: Internet;
  readonly #sent: string[] = [];
  readonly #seen = new Map<string, number>();
  #place: 'site-a' | 'site-b' = 'site-a';
  #timer: NodeJS.Timeout;

  constructor(internet: Internet) {
    this.#internet = internet;
    internet.on('seen', ({ text }) => this.#seen.set(text, (this.#seen.get(text) ?? 0) + 1));
    this.#timer = setInterval(() => this.#send(), EVERY_MS);
  }

  at(place: 'site-a' | 'site-b'): void {
    this.#place = place;
  }

  get count(): number {
    return this.#sent.length;
  }

  /** @returns how many were lost, and how many came twice. */
  async end(): Promise<{ sent: number; lost: number; twice: number }> {
    clearInterval(this.#timer);
    const last = `last ${this.#sent.length}`;
    const arrival = this.#internet.arrival(last);
    this.#internet.toGuest(4, last);
    await arrival;
    const lost = this.#sent.filter((text) => !this.#seen.has(text)).length;
    const twice = [...this.#seen.values()].filter((times) => times > 1).length;
    return { sent: this.#sent.length, lost, twice };
  }

  #send(): void {
    for (const version of [4, 6] as const) {
      const text = `${this.#sent.length} to ${version}`;
      this.#internet.toGuest(version, text);
      const back = `${this.#sent.length} from ${version}`;
      this.#internet.fromGuest(this.#place, version, back);
      this.#sent.push(text, back);
    }
  }
}

describe.each([
  ['the embedded switch', embedded],
  ['Open vSwitch', openVSwitch],
])('with %s', (_name, start) => {
  let directory: string;
  let port: number;
  let fleet: Fleet;
  let controller: ControllerProcess;
  const control = () =>
    new ControllerProcess(port, [
      ...['--gateways', join(directory, 'gateways.json')],
      ...['--mappings', join(directory, 'mappings.json')],
    ]);
  const repaired = () => controller.until(({ repairs }) => repairs.length >= specs.length);

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sojourn-controller-'));
    await writeFile(join(directory, 'gateways.json'), JSON.stringify(network));
    await mappings('site-a');
    port = await freePort();
    controller = control();
    fleet = await start(specs, port);
    await repaired();
    await fleet.settled();
  }, 60_000);

  afterAll(async () => {
    await controller.end();
    await fleet.close();
    await rm(directory, { recursive: true, force: true });
  });

  const mappings = (place: 'site-a' | 'site-b') =>
    writeFile(join(directory, 'mappings.json'), JSON.stringify([guestAt(place)]));

  test('no packet is lost when the controller is killed, and none when it is back', async () => {
    const traffic = new Traffic(new Internet(fleet));
    await delay(200);
    await controller.kill();
    const before = traffic.count;
    await delay(1_000);
    expect(traffic.count).toBeGreaterThan(before);
    controller = control();
    await repaired();
    await delay(200);
    expect(await traffic.end()).toMatchObject({ lost: 0, twice: 0 });
    for (const { put, deleted } of controller.repairs)
      expect({ put, deleted }).toEqual({ put: 0, deleted: 0 });
  }, 60_000);

  test('a move by another file of mappings loses nothing that is sent to either place', async () => {
    const traffic = new Traffic(new Internet(fleet));
    await delay(100);
    await mappings('site-b');
    await controller.readAgain();
    await fleet.settled();
    traffic.at('site-b');
    await delay(200);
    expect(await traffic.end()).toMatchObject({ lost: 0, twice: 0 });
  }, 60_000);

  test('what changed while it was away is done when it is back', async () => {
    await controller.kill();
    await mappings('site-a');
    controller = control();
    await repaired();
    await fleet.settled();
    const internet = new Internet(fleet);
    const arrival = internet.arrival('back');
    internet.toGuest(6, 'back');
    expect(await arrival).toMatchObject({ bridge: 'site-a' });
  }, 60_000);
});
