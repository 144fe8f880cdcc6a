/** What happens in the demo, in its order. Everything it starts belongs to the lab and ends with it. */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Lab } from '../lab/index.ts';
import { Probes } from '../lab/probes/index.ts';
import { readCounters } from './counters.ts';
import type { Evidence } from './evidence.ts';
import { LINKS, type LinkName } from './options.ts';
import type { Place } from './place.ts';
import { commandLine, guestFacts, type Side, showGuest, startPlaces } from './places.ts';
import { PlainMigration } from './plain-migration.ts';
import type { GuestFacts } from './report.ts';
import type { Story } from './story.ts';

const GUEST = 'demo';
const MEMORY_MIB = 512;
const RECORDS_PORT = 7002;
const GUEST_DEADLINE_MS = 60_000;
/** Probes 1 ms apart begin so long before a handoff and go on so long after it (see figures.ts). */
const LEAD_MS = 1200;
const AFTER_MS = 1500;
const STAY_MS = 1000;
const IDLE_SPACING_MS = 50;

export interface ScenarioOptions {
  readonly lab: Lab;
  readonly evidence: Evidence;
  readonly story: Story;
  readonly link: LinkName;
  readonly signal: AbortSignal;
}

const handoffLine = z.looseObject({
  result: z
    .looseObject({ phases: z.array(z.object({ name: z.string(), ms: z.number() })) })
    .optional(),
});

export class Scenario {
  readonly #options: ScenarioOptions;
  readonly places = new Map<Side, Place>();
  #probes: Probes | undefined;

  constructor(options: ScenarioOptions) {
    this.#options = options;
  }

  /** Returns what is known of the guest. Throws at the first thing that does not work. */
  async run(): Promise<GuestFacts> {
    try {
      return await this.#play();
    } finally {
      await this.#probes?.close();
    }
  }

  async #play(): Promise<GuestFacts> {
    const { story, evidence, link, signal } = this.#options;
    evidence.event('demo-start', { link: LINKS[link] });
    await story.step('agents', () => this.#startAgents());
    const argv = await story.step('start guest', () => this.#startGuest());
    const plain = new PlainMigration({ ...this.#options, argv, signal });
    const facts = guestFacts(await showGuest(this.#place('device'), GUEST), argv);
    evidence.event('guest', { ...facts });
    const twinBooted = plain.boot().then(() => plain.prepare());
    await story.step('boot', () => this.#awaitGuest(facts));
    story.tell(
      `the guest is up and can be reached from outside at ${facts.hoa4} and ${facts.hoa6}`,
    );
    await this.#startProbes(facts);
    await story.step('plain QEMU migration', async () => {
      await twinBooted;
      story.tell(
        'for comparison, a plain QEMU migration moves a twin of the guest over the same link',
      );
      evidence.event('baseline-start');
      await plain.migrate();
      evidence.event('baseline-end');
      await plain.close();
    });
    story.tell('… done; now Sojourn moves the guest itself');
    await this.#handoff(1, 'device', 'site', facts);
    await sleep(STAY_MS, undefined, { signal });
    await this.#handoff(2, 'site', 'device', facts);
    evidence.event('demo-end');
    return facts;
  }

  async #startAgents(): Promise<void> {
    const { story } = this.#options;
    await startPlaces(this.#options, this.places);
    story.tell('the agents of laptop and cloud run and know each other by an invite');
  }

  /** Returns the command line of the guest's QEMU. */
  async #startGuest(): Promise<string[]> {
    const device = this.#place('device');
    await device.sojourn(
      ...['guest', 'create', GUEST, '--image', 'demo'],
      ...['--memory', `${MEMORY_MIB}`, '--overlay-limit', '64M'],
    );
    await device.sojourn('guest', 'start', GUEST);
    return this.#noteCommandLine('device', 'start');
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

  async #startProbes(facts: GuestFacts): Promise<void> {
    const { story } = this.#options;
    await this.#probes?.start();
    this.#probes?.spacing(IDLE_SPACING_MS);
    story.tell(
      `somebody on a third network pings ${facts.hoa4} and talks to it over TCP, by IPv4 and IPv6`,
    );
  }

  async #handoff(number: number, from: Side, to: Side, facts: GuestFacts): Promise<void> {
    const { evidence, story, lab, signal } = this.#options;
    const probes = this.#probes;
    if (probes === undefined) throw new Error('the probes do not run');
    const [source, destination] = [this.#place(from), this.#place(to)];
    await this.#noteCounters(`handoff-${number}-before`);
    evidence.event('watch-start', { handoff: number });
    probes.spacing(1);
    probes.startStreams();
    await probes.startPing(`${number}`, 1);
    await sleep(LEAD_MS, undefined, { signal });

    story.tell(`handoff of the running guest from ${source.name} to ${destination.name} …`);
    evidence.link(`handoff-${number}-start`, await lab.link.statistics());
    evidence.event('handoff-start', { handoff: number, from, to });
    const output = await source.sojourn('handoff', GUEST, '--to', destination.name);
    evidence.event('handoff-end', { handoff: number, from, to });
    evidence.link(`handoff-${number}-end`, await lab.link.statistics());
    writeFileSync(evidence.path(`handoff-${number}.jsonl`), output);
    story.tell(`… the guest runs at ${destination.name}; everybody goes on talking to it`);
    for (const phase of handoffPhases(output))
      story.add(`handoff ${number}: ${phase.name}`, phase.ms);

    await this.#noteCommandLine(to, `handoff-${number}`);
    await sleep(AFTER_MS, undefined, { signal });
    evidence.event('watch-end', { handoff: number });
    probes.spacing(IDLE_SPACING_MS);
    const file = evidence.path(`records-${number}.txt`);
    await Promise.all([
      probes.stopPing(),
      probes.endStreams(),
      probes.fetch(facts.hoa4, RECORDS_PORT, file, GUEST_DEADLINE_MS),
    ]);
    await this.#noteCounters(`handoff-${number}-after`);
  }

  async #noteCounters(label: string): Promise<void> {
    const states = Object.fromEntries([...this.places].map(([side, { state }]) => [side, state]));
    this.#options.evidence.counters(label, await readCounters(this.#options.lab, states));
  }

  async #noteCommandLine(side: Side, name: string): Promise<string[]> {
    const argv = await commandLine(this.#place(side), GUEST);
    this.#options.evidence.commandLine(side, name, argv);
    return argv;
  }

  #place(side: Side): Place {
    const place = this.places.get(side);
    if (place === undefined) throw new Error(`the agent of the ${side} does not run`);
    return place;
  }
}

function handoffPhases(output: string): { name: string; ms: number }[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => handoffLine.parse(JSON.parse(line)).result?.phases ?? []);
}
