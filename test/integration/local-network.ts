/** Places in one local network, joined by a bridge: they hear one another's multicast, and nobody else is there. */
import { join } from 'node:path';
import type { NearbyView } from '../../src/api/index.ts';
import { LabRun } from '../lab/run.ts';
import { AgentPlace, type Side, within } from './agent-place.ts';
import { tinyImage } from './tiny-image.ts';

const PREFIX = '10.99.0';
const DEADLINE_MS = 15_000;

export interface PlaceOptions {
  readonly name: string;
  readonly side: Side;
  readonly flags?: readonly string[];
}

/** What a site needs to anchor addresses. */
export const ANCHOR = ['--hoa4', '10.77.0.0/24', '--hoa6', '2001:db8:7700::/48'];

export class LocalNetwork {
  readonly places: readonly AgentPlace[];
  readonly #run: LabRun<string>;
  readonly #image: string;

  private constructor(run: LabRun<string>, places: readonly AgentPlace[], image: string) {
    this.#run = run;
    this.places = places;
    this.#image = image;
  }

  /** Places that run and have the tiny image, and do not know one another. */
  static async create(wanted: readonly PlaceOptions[]): Promise<LocalNetwork> {
    const names = wanted.map(({ name }) => name);
    const run = await LabRun.start(['bridge', ...names]);
    try {
      const image = await tinyImage(join(run.directory, 'image'));
      await connect(run, names);
      const places = wanted.map(({ name, side, flags = [] }) => {
        const namespace = run.namespaces[name];
        if (namespace === undefined) throw new Error(`no namespace ${name}`);
        return new AgentPlace({
          lab: { directory: run.directory, device: namespace, site: namespace },
          ...{ side, name, folder: name },
          flags: [...flags, '--accelerator', 'tcg'],
          logs: process.env.SOJOURN_TEST_LOGS ?? run.directory,
        });
      });
      const network = new LocalNetwork(run, places, image);
      await Promise.all(places.map((place) => network.start(place)));
      return network;
    } catch (error) {
      await run.close();
      throw error;
    }
  }

  async start(place: AgentPlace): Promise<void> {
    await place.start();
    await place.api.call('image.import', { path: this.#image });
  }

  async close(): Promise<void> {
    for (const place of this.places) place.close();
    await this.#run.close();
  }
}

async function connect(run: LabRun<string>, names: readonly string[]): Promise<void> {
  const { bridge } = run.namespaces;
  if (bridge === undefined) throw new Error('no bridge');
  // Addresses are unique by construction, and nobody here knows a router.
  const quiet = {
    'net.ipv6.conf.all.accept_dad': 0,
    'net.ipv6.conf.default.accept_dad': 0,
    'net.ipv6.conf.default.dad_transmits': 0,
    'net.ipv6.conf.default.accept_ra': 0,
  };
  await Promise.all(Object.values(run.namespaces).map((namespace) => namespace.sysctl(quiet)));
  await bridge.ip(
    'link add br0 type bridge mcast_snooping 0',
    'link set br0 up',
    ...names.flatMap((name, index) => [
      `link add port${index} type veth peer name eth0 netns ${run.namespaces[name]?.pid}`,
      `link set port${index} master br0 up`,
    ]),
  );
  await Promise.all(
    names.map(async (name, index) =>
      run.namespaces[name]?.ip(
        `address add ${PREFIX}.${index + 1}/24 dev eth0`,
        'link set eth0 up',
        'link set lo up',
      ),
    ),
  );
}

/** Watches devices nearby, as the pairing page does. */
export class PairingPage {
  readonly #place: AgentPlace;
  readonly #leave = new AbortController();
  readonly #watching: Promise<unknown>;
  #view: NearbyView | undefined;
  #changed: () => void = () => undefined;

  constructor(place: AgentPlace) {
    this.#place = place;
    const onItem = (view: NearbyView) => {
      this.#view = view;
      this.#changed();
    };
    this.#watching = place.api
      .call('nearby.watch', {}, { signal: this.#leave.signal, onItem })
      .catch(() => undefined);
  }

  /** Resolves with the first thing that is found in what the page shows. */
  async sees<Found>(find: (view: NearbyView) => Found | undefined | false): Promise<Found> {
    const wanted = async () => {
      for (;;) {
        const found = this.#view && find(this.#view);
        if (found) return found;
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
        });
      }
    };
    return within(wanted(), DEADLINE_MS, `something nearby of ${this.#place.name}`);
  }

  comparing(): Promise<{ id: string; code: string }> {
    return this.sees(({ attempt }) => {
      const { state } = attempt ?? {};
      return state?.kind === 'comparing' && { id: attempt?.id ?? '', code: state.code };
    });
  }

  async answer(answer: 'same' | 'different' | 'cancel'): Promise<void> {
    const { id } = await this.comparing();
    await this.#place.api.call('nearby.answer', { attempt: id, answer });
  }

  async close(): Promise<void> {
    this.#leave.abort();
    await this.#watching;
  }
}

/** Pairs two places as two people do who see both screens. Returns the code. */
export async function pairNearby(one: AgentPlace, other: AgentPlace): Promise<string> {
  const [here, there] = [new PairingPage(one), new PairingPage(other)];
  try {
    await here.sees(({ devices }) => devices.find(({ name }) => name === other.name));
    await one.api.call('nearby.pair', { device: other.name });
    const [mine, theirs] = await Promise.all([here.comparing(), there.comparing()]);
    if (mine.code !== theirs.code) throw new Error(`${mine.code} is not ${theirs.code}`);
    await Promise.all([here.answer('same'), there.answer('same')]);
    for (const page of [here, there]) {
      await page.sees(({ attempt }) => attempt?.state.kind === 'paired');
    }
    return mine.code;
  } finally {
    await Promise.all([here.close(), there.close()]);
  }
}

/** Resolves when the place shows a connection with the other, or none. */
export async function connected(place: AgentPlace, other: string, wanted = true): Promise<void> {
  const found = Promise.withResolvers<void>();
  const stop = new AbortController();
  place.watch((status) => {
    const view = status.places.find(({ name }) => name === other);
    if ((view?.connected ?? false) === wanted) found.resolve();
  }, stop.signal);
  try {
    await within(found.promise, DEADLINE_MS, `${place.name} and ${other} to be connected`);
  } finally {
    stop.abort();
  }
}
