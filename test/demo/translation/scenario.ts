/** The story: a guest runs at site A, somebody at site C talks to it, and QEMU moves it to B and back under them. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChangeReport } from '../../../src/mobility/controller/index.ts';
import type { Mapping } from '../../../src/mobility/flows/index.ts';
import { Gateways, tapOf } from '../../lab/gateways.ts';
import { Probes } from '../../lab/probes/index.ts';
import { type GuestSite, SITE_FACTS, type SitesLab } from '../../lab/sites.ts';
import type { Evidence } from '../evidence.ts';
import {
  awaitBoot,
  endTwin,
  MIGRATION_PORT,
  migrateTwin,
  type RunningTwin,
  startTwin,
} from '../live-migration.ts';
import { twinOf } from '../qemu-arguments.ts';
import type { GuestFacts } from '../report.ts';
import type { Story } from '../story.ts';
import { type DemoGuest, demoGuest, onTap } from './guest.ts';
import { makeSubnet, SUBNET_GUEST, SUBNET_TAPS } from './subnet.ts';
import { captureWire } from './wire.ts';

const GUEST = 'demo';
const NUMBER = 2;
const RECORDS_PORT = 7002;
const GUEST_DEADLINE_MS = 60_000;
const MIGRATION_MS = 60_000;
/** As in the demo of the device (../scenario.ts). */
const [LEAD_MS, AFTER_MS, STAY_MS, IDLE_SPACING_MS] = [1200, 1500, 1000, 50];
const INCOMING = `tcp:0.0.0.0:${MIGRATION_PORT}`;

export interface TranslationOptions {
  readonly lab: SitesLab;
  readonly evidence: Evidence;
  readonly story: Story;
  readonly signal: AbortSignal;
}

export interface TranslationFacts extends GuestFacts {
  readonly mapping: Mapping;
}

export class TranslationScenario {
  readonly #options: TranslationOptions;
  #probes: Probes | undefined;
  #gateways: Gateways | undefined;
  #guest: DemoGuest | undefined;
  #running: RunningTwin | undefined;

  constructor(options: TranslationOptions) {
    this.#options = options;
  }

  /** Throws at the first thing that does not work. */
  async run(): Promise<TranslationFacts> {
    try {
      return await this.#play();
    } finally {
      await this.#probes?.close();
      await this.#gateways?.close();
    }
  }

  async #play(): Promise<TranslationFacts> {
    const { story, evidence, lab, signal } = this.#options;
    evidence.event('demo-start', { topology: 'translation' });
    const guest = await demoGuest(lab.memory);
    this.#guest = guest;
    const place = 'site-a';
    const gateways = await story.step('gateways', () =>
      Gateways.start(lab, [{ name: GUEST, number: NUMBER, mac: guest.mac, place }]),
    );
    this.#gateways = gateways;
    story.tell('an OpenFlow controller drives the three of them');
    const mapping = gateways.mappings[0] as Mapping;
    const facts = {
      ...{ accelerator: guest.accelerator, memoryMiB: guest.memoryMiB, mapping },
      ...{ hoa4: mapping.hoa4 ?? '', hoa6: mapping.hoa6 ?? '' },
    };
    evidence.event('guest', { ...facts });
    const endWire = await captureWire(lab, evidence.path('wire'));
    try {
      this.#running = await this.#startAt(place, 'start');
      const twin = story.step('plain QEMU migration', () => this.#baseline());
      // It ends unheard when the guest itself does not start.
      twin.catch(() => {});
      await story.step('boot', () => this.#awaitGuest(facts));
      story.tell(
        `the guest runs at site A and can be reached at ${facts.hoa4} and ${facts.hoa6}; on the way it is ` +
          `${mapping.places[place]?.moa4} and ${mapping.places[place]?.moa6}`,
      );
      await twin;
      await this.#probes?.start();
      this.#probes?.spacing(IDLE_SPACING_MS);
      await this.#move(1, 'site-a', 'site-b', facts);
      await sleep(STAY_MS, undefined, { signal });
      await this.#move(2, 'site-b', 'site-a', facts);
      evidence.event('demo-end');
    } finally {
      await endWire();
    }
    return facts;
  }

  async #awaitGuest({ hoa4, hoa6 }: GuestFacts): Promise<void> {
    const { lab, evidence } = this.#options;
    const probes = new Probes(lab.correspondent, evidence.client, [
      { name: 'v4', address: hoa4 },
      { name: 'v6', address: hoa6 },
    ]);
    this.#probes = probes;
    await Promise.all([
      probes.startCapture(),
      ...[hoa4, hoa6].map((address) =>
        probes.fetch(address, RECORDS_PORT, evidence.path('records-0.txt'), GUEST_DEADLINE_MS),
      ),
    ]);
  }

  /** A QEMU at a site: one that boots the guest, or one that waits for it. */
  async #startAt(site: GuestSite, name: string, incoming?: string): Promise<RunningTwin> {
    const { lab, evidence } = this.#options;
    const { argv } = this.#guest as DemoGuest;
    const twin = onTap(twinOf(argv, join(lab.memory, name), incoming), tapOf(NUMBER));
    const namespace = lab.namespace(site);
    return startTwin({ twin, namespace, evidence, side: site, name });
  }

  /** A twin of the guest, moved inside one subnet while somebody in it watches. */
  async #baseline(): Promise<void> {
    const { lab, evidence, story, signal } = this.#options;
    await makeSubnet(lab);
    const client = evidence.path('baseline', 'client');
    mkdirSync(client);
    const { argv } = this.#guest as DemoGuest;
    const namespace = lab.namespace('lan');
    const start = (tap: string, name: string, incoming?: string) => {
      const twin = onTap(twinOf(argv, join(lab.memory, name), incoming), tap);
      return startTwin({ twin, namespace, evidence, side: 'baseline', name });
    };
    const source = await start(SUBNET_TAPS[0], 'plain-source');
    const probes = new Probes(lab.namespace('neighbour'), client, [
      { name: 'v4', address: SUBNET_GUEST },
    ]);
    try {
      await awaitBoot(source, signal);
      const records = evidence.path('baseline', 'records.txt');
      await probes.fetch(SUBNET_GUEST, RECORDS_PORT, records, GUEST_DEADLINE_MS);
      const destination = await start(SUBNET_TAPS[1], 'plain-destination', INCOMING);
      await probes.startCapture();
      await probes.start();
      probes.spacing(1);
      await probes.startPing('baseline', 1);
      await sleep(LEAD_MS, undefined, { signal });
      story.tell('for comparison, a plain QEMU migration moves a twin of it inside one subnet');
      evidence.event('baseline-start');
      const way = { address: '127.0.0.1', timeoutMs: MIGRATION_MS, signal };
      await migrateTwin(source, destination, way);
      evidence.event('baseline-end');
      await sleep(AFTER_MS, undefined, { signal });
      await probes.stopPing();
      await endTwin(source);
      await endTwin(destination);
    } finally {
      await probes.close();
    }
  }

  async #move(number: number, from: GuestSite, to: GuestSite, facts: GuestFacts): Promise<void> {
    const { evidence, story, signal } = this.#options;
    const [probes, source, gateways] = [this.#probes, this.#running, this.#gateways];
    if (probes === undefined || source === undefined || gateways === undefined)
      throw new Error('the guest does not run');
    const destination = await this.#startAt(to, `move-${number}`, INCOMING);
    evidence.event('watch-start', { handoff: number });
    probes.spacing(1);
    probes.startStreams();
    await probes.startPing(`${number}`, 1);
    await sleep(LEAD_MS, undefined, { signal });

    story.tell(`live migration of the running guest from ${from} to ${to} …`);
    this.#noteLink(`handoff-${number}-start`, from, to);
    evidence.event('handoff-start', { handoff: number, from, to });
    let pushed: Promise<ChangeReport> | undefined;
    await migrateTwin(source, destination, {
      ...{ address: SITE_FACTS[to].host4, timeoutMs: MIGRATION_MS, signal },
      atSwitchover: () => {
        pushed = gateways.controller.move(GUEST, to);
        pushed.catch(() => {});
      },
    });
    const report = await pushed;
    evidence.event('handoff-end', { handoff: number, from, to });
    this.#noteLink(`handoff-${number}-end`, from, to);
    writeFileSync(evidence.path(`handoff-${number}.jsonl`), `${JSON.stringify(report)}\n`);
    story.add(`handoff ${number}: flows pushed`, report?.tookMs ?? 0);
    story.tell(
      `… it runs at ${to}; ${report?.changes} flows at ${report?.gateways.length} gateways in ${report?.tookMs.toFixed(1)} ms`,
    );
    this.#running = destination;
    await destination.qmp.execute('nbd-server-stop');
    await endTwin(source);

    await sleep(AFTER_MS, undefined, { signal });
    evidence.event('watch-end', { handoff: number });
    probes.spacing(IDLE_SPACING_MS);
    const file = evidence.path(`records-${number}.txt`);
    await Promise.all([
      probes.stopPing(),
      probes.endStreams(),
      probes.fetch(facts.hoa4, RECORDS_PORT, file, GUEST_DEADLINE_MS),
    ]);
  }

  /** What the hosts' own network carried: the migration, not the guest's traffic. */
  #noteLink(label: string, from: GuestSite, to: GuestSite): void {
    const { lab, evidence } = this.#options;
    const statistics = [from, to].map((site) => {
      const file = `/proc/${lab.namespace(site).pid}/net/dev`;
      return [site, { bytesOut: sentBytes(readFileSync(file, 'utf8'), 'host0') }] as const;
    });
    evidence.link(label, Object.fromEntries(statistics));
  }
}

/** Bytes that an interface has sent (proc_pid_net(5)). */
function sentBytes(table: string, device: string): number {
  const line = table.split('\n').find((each) => each.trim().startsWith(`${device}:`));
  return Number(line?.split(':')[1]?.trim().split(/\s+/)[8] ?? Number.NaN);
}
