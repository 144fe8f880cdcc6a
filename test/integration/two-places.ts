/**
 * A device and a site with their agents, a running demo guest, a link between them that can be spoilt, and a witness:
 * what the tests of faults begin with. Everything that can be asked of the guest afterwards is in `expectOneGuest`.
 */

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { GuestState, HandoffResult, StandbyView, Status } from '../../src/api/index.ts';
import { SojournError } from '../../src/common/index.ts';
import { ADDRESSES, Lab, type LabOptions } from '../lab/index.ts';
import { AgentPlace, type Side, within } from './agent-place.ts';
import { Witness } from './witness.ts';

const DEMO_IMAGE = fileURLToPath(new URL('../../.cache/demo-guest/current', import.meta.url));

export type { Side };
export const GUEST = 'wanderer';
const MEMORY = '256M';
const BOOT_DEADLINE_MS = 60_000;
const HANDOFF_DEADLINE_MS = 120_000;
/** As fast as this machine compresses: what is tested does not get better by waiting for a link. */
const GOOD_LINK = { rateBitsPerSecond: 400e6, delayMs: 5 };
/** What the acceptance gives: after everything has been started again. */
export const SETTLE_DEADLINE_MS = 30_000;

/** States of the source's machine (`src/handoff/source-machine.ts`), told in its log. */
export type SourceStage =
  | 'preparing'
  | 'disks'
  | 'memory'
  | 'armed'
  | 'triggered'
  | 'switching'
  | 'sealing'
  | 'sealed'
  | 'releasing';

export type Outcome =
  | { readonly kind: 'handed-over'; readonly result: HandoffResult }
  | { readonly kind: 'failed'; readonly error: Error };

export interface RunningHandoff {
  /** Resolves as soon as the source says that it has entered the stage; rejects when it ends before. */
  reached(stage: SourceStage): Promise<void>;
  readonly outcome: Promise<Outcome>;
  /** Whether the destination has said that the guest is its own now. */
  isClaimed(): boolean;
}

export interface PlacesOptions extends LabOptions {
  /** A third place has the registry and anchors the guest's address; without it the site does. */
  readonly registryApart?: boolean;
  /** A command that the site's agent is always started by. */
  readonly siteThrough?: (lab: Lab) => readonly string[];
  /** The guest has a screen. */
  readonly display?: boolean;
  /** Beside what the device's agent is always started with. */
  readonly deviceFlags?: (lab: Lab) => readonly string[];
}

/** Where a site listens. */
const LISTEN = ['--listen', '0.0.0.0:7420', '--advertise'];
const ANCHOR = [
  ...[...LISTEN, ADDRESSES.site4, '--tap', 'sojourn0'],
  ...['--hoa4', ADDRESSES.hoaPrefix4, '--hoa6', ADDRESSES.hoaPrefix6],
];
/** Of the lab's internet, where a site stands that anchors nothing. */
const APART4 = '198.18.7.1';

export class TwoPlaces {
  readonly lab: Lab;
  readonly device: AgentPlace;
  readonly site: AgentPlace;
  /** Has the registry, and never the guest, where that is a place of its own. */
  readonly registry: AgentPlace | undefined;
  readonly #display: boolean;
  #witness: Witness | undefined;

  private constructor(lab: Lab, options: PlacesOptions) {
    const { registryApart, siteThrough, deviceFlags, display = false } = options;
    this.lab = lab;
    this.#display = display;
    const logs = process.env.SOJOURN_TEST_LOGS ?? lab.directory;
    const flags = deviceFlags?.(lab) ?? [];
    this.device = new AgentPlace({ lab, side: 'device', name: 'laptop', flags, logs });
    const through = siteThrough?.(lab) ?? [];
    const site = { lab, side: 'site', name: 'cloud', logs, through } as const;
    if (registryApart !== true) {
      this.site = new AgentPlace({ ...site, flags: ANCHOR });
      return;
    }
    this.site = new AgentPlace({ ...site, namespace: lab.internet, flags: [...LISTEN, APART4] });
    const apart = { folder: 'registry', name: 'anchor', flags: ANCHOR, through: [] };
    this.registry = new AgentPlace({ ...site, ...apart });
  }

  /** A guest that runs on the device and has reported to the witness. */
  static async create(options: PlacesOptions = {}): Promise<TwoPlaces> {
    const lab = await Lab.create({ up: GOOD_LINK, down: GOOD_LINK, ...options });
    const places = new TwoPlaces(lab, options);
    try {
      await places.#build();
      return places;
    } catch (error) {
      await places.close();
      throw error;
    }
  }

  get witness(): Witness {
    if (this.#witness === undefined) throw new Error('there is no witness');
    return this.#witness;
  }

  /** Listens anew: what the guest said until now, before it was stopped, does not count any more. */
  async newWitness(): Promise<Witness> {
    await this.#witness?.close();
    this.#witness = undefined;
    const address = await this.#address();
    this.#witness = await Witness.start(this.lab.correspondent, address, BOOT_DEADLINE_MS);
    return this.#witness;
  }

  get all(): AgentPlace[] {
    const { device, site, registry } = this;
    return registry === undefined ? [device, site] : [device, site, registry];
  }

  place(side: Side): AgentPlace {
    return this[side];
  }

  other(side: Side): AgentPlace {
    return side === 'device' ? this.site : this.device;
  }

  /** Begins to hand the guest over from `from` to the other place. */
  handOff(from: Side, signal?: AbortSignal): RunningHandoff {
    const source = this.place(from);
    const to = this.other(from).name;
    const outcome = source.api
      .call('handoff.start', { guest: GUEST, to }, signal === undefined ? {} : { signal })
      .then(
        (result): Outcome => ({ kind: 'handed-over', result }),
        (error: Error): Outcome => ({ kind: 'failed', error }),
      );
    const stages = new Map<string, PromiseWithResolvers<void>>();
    const stage = (name: string) => {
      const known = stages.get(name) ?? Promise.withResolvers<void>();
      known.promise.catch(() => undefined);
      stages.set(name, known);
      return known;
    };
    const take = (line: { msg: string; to?: unknown }) => {
      if (line.msg === 'handoff, source') stage(`${line.to}`).resolve();
    };
    let claimed = false;
    const hear = (line: { msg: string; to?: unknown }) => {
      claimed ||= line.msg === 'handoff, destination' && line.to === 'claiming';
    };
    const destination = this.other(from);
    source.on('line', take);
    destination.on('line', hear);
    void outcome.then((end) => {
      source.off('line', take);
      destination.off('line', hear);
      const why = end.kind === 'failed' ? end.error.message : end.kind;
      for (const { reject } of stages.values()) reject(new Error(`it ended before: ${why}`));
    });
    const end = within(outcome, HANDOFF_DEADLINE_MS, 'the handoff to end');
    // Whoever waits for a stage first is told that it was not reached.
    end.catch(() => undefined);
    return {
      isClaimed: () => claimed,
      outcome: end,
      reached: (name) => within(stage(name).promise, HANDOFF_DEADLINE_MS, `stage ${name}`),
    };
  }

  /** Lets the guest, which is at `from`, stand by at the other place; resolves when it does, or at once. */
  async arm(from: Side, wait: 'until armed' | 'no wait' = 'until armed'): Promise<void> {
    const at = this.other(from).name;
    await this.place(from).api.call('standby.arm', { guest: GUEST, at, wait: wait !== 'no wait' });
  }

  /** What its place says of the guest's standby; null without one. */
  async standby(side: Side): Promise<StandbyView | null> {
    return (await this.place(side).guest(GUEST))?.standby ?? null;
  }

  /** Nobody wants the guest to stand by any more, wherever it is. */
  async disarm(side: Side): Promise<void> {
    if ((await this.standby(side)) === null) return;
    await this.place(side).api.call('standby.disarm', { guest: GUEST });
  }

  /** Hands the guest over, and expects that to work. */
  async move(from: Side): Promise<HandoffResult> {
    const outcome = await this.handOff(from).outcome;
    if (outcome.kind === 'failed') throw outcome.error;
    return outcome.result;
  }

  /**
   * Resolves with where the guest runs, when one status says that it runs there and the other says so too. Both agents
   * have to be up.
   */
  async settled(deadlineMs = SETTLE_DEADLINE_MS): Promise<Side> {
    const seen: Partial<Record<Side, GuestState>> = {};
    const found = Promise.withResolvers<Side>();
    const stop = new AbortController();
    const take = (side: Side) => (status: Status) => {
      const { device, site } = this;
      seen[side] = status.guests.find(({ name }) => name === GUEST)?.state ?? ABSENT;
      if (!status.datapath.running) seen[side] = undefined;
      if (runsThere(seen.device, seen.site, device.name)) found.resolve('device');
      if (runsThere(seen.site, seen.device, site.name)) found.resolve('site');
    };
    for (const side of ['device', 'site'] as const) this.place(side).watch(take(side), stop.signal);
    try {
      return await within(found.promise, deadlineMs, 'the guest to be in one place');
    } catch (error) {
      throw new Error(`${error}; the statuses say ${JSON.stringify(seen)}`);
    } finally {
      stop.abort();
    }
  }

  /**
   * The guest runs in exactly one place, both statuses say so, its QEMU there is the only one, it still reports, nothing
   * it ever said came from a second or an older copy, and its disk has every record. Returns where.
   */
  async expectOneGuest(deadlineMs = SETTLE_DEADLINE_MS): Promise<Side> {
    const where = await this.settled(deadlineMs);
    await this.witness.next(5, deadlineMs);
    await this.witness.nextRecords(1, deadlineMs);
    assert.equal(await this.witness.recordProblem(), undefined);
    assert.deepEqual(this.witness.problems, []);
    assert.equal(this.place(where).guestPids().length, 1, `QEMUs at the ${where}`);
    assert.equal(this.other(where).guestPids().length, 0, 'QEMUs at the other place');
    return where;
  }

  /** The link is again as it was in the beginning. */
  mendLink(): Promise<void> {
    return this.lab.link.set({ ...GOOD_LINK, state: 'up' });
  }

  /**
   * A good link, both agents up, the guest at `side`, a witness that knows nothing of what happened before. Returns where
   * the guest is.
   */
  async ready(side: Side | undefined): Promise<Side> {
    await this.mendLink();
    for (const place of this.all) if (!place.isUp) await place.start();
    const where = await this.settled();
    if (side !== undefined && where !== side) await this.move(where);
    await this.newWitness();
    return side ?? where;
  }

  /** Resolves when the status of the guest at that place is as wanted. */
  async stateAt<Kind extends GuestState['kind']>(
    side: Side,
    kind: Kind,
    deadlineMs = SETTLE_DEADLINE_MS,
  ): Promise<GuestState & { kind: Kind }> {
    const found = Promise.withResolvers<GuestState & { kind: Kind }>();
    const stop = new AbortController();
    this.place(side).watch((status) => {
      const state = status.guests.find(({ name }) => name === GUEST)?.state;
      if (state?.kind === kind) found.resolve(state as GuestState & { kind: Kind });
    }, stop.signal);
    try {
      return await within(found.promise, deadlineMs, `${kind} at the ${side}`);
    } finally {
      stop.abort();
    }
  }

  async close(): Promise<void> {
    for (const place of this.all) place.close();
    await this.#witness?.close();
    await this.lab.close();
  }

  async #build(): Promise<void> {
    const { device, site, registry } = this;
    await Promise.all(
      this.all.map(async (place) => {
        await place.start();
        if (place !== registry) await place.api.call('image.import', { path: DEMO_IMAGE });
      }),
    );
    // The anchor first: a new guest gets its address from the first site.
    if (registry !== undefined) for (const place of [device, site]) await pair(place, registry);
    await pair(device, site);
    const screen = this.#display ? ['--display', 'vga'] : [];
    const how = ['--image', 'demo', '--memory', MEMORY, ...screen];
    await device.sojourn('guest', 'create', GUEST, ...how);
    await device.api.call('guest.start', { guest: GUEST });
    await this.newWitness();
  }

  async #address(): Promise<string> {
    const guest = await this.device.guest(GUEST);
    if (guest === undefined) throw new Error('the device does not know the guest');
    return guest.network.hoa4;
  }
}

async function pair(dialer: AgentPlace, listener: AgentPlace): Promise<void> {
  const { invite } = await listener.api.call('place.invite', {});
  await dialer.api.call('place.pair', { invite });
}

/** A handoff that failed says so in words for a person, and does not take itself for a defect. */
export function expectClear(outcome: Outcome): void {
  if (outcome.kind === 'handed-over') return;
  const { error } = outcome;
  assert(error instanceof SojournError, error.message);
  assert.notEqual(error.kind, 'internal', error.line);
}

/** A place that has never had the guest, or has it no more, says nothing about it. */
const ABSENT = {
  kind: 'elsewhere',
  since: '',
  place: { id: '', name: '' },
  there: 'unknown',
} as const;

function runsThere(here: GuestState | undefined, there: GuestState | undefined, name: string) {
  if (here?.kind !== 'running' || there?.kind !== 'elsewhere') return false;
  return there === ABSENT || (there.place.name === name && there.there === 'running');
}
