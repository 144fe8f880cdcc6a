/**
 * The demo by a recording: nobody asks for a handoff. The laptop's link does what a recorded link did, and its agent is given the same
 * recording in place of a wireless sensor, by the same clock. What happens then is decided by the agent alone.
 */
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient, apiSocketPath, type DecisionView, type Status } from '../../src/api/index.ts';
import type { Trace } from '../../src/link/index.ts';
import { ADDRESSES, type Lab } from '../lab/index.ts';
import { Probes } from '../lab/probes/index.ts';
import type { Place } from './place.ts';
import { commandLine, guestFacts, type Side, showGuest, startPlaces } from './places.ts';
import { PlainMigration } from './plain-migration.ts';
import type { GuestFacts } from './report.ts';
import type { ScenarioOptions } from './scenario.ts';
import { emulatedLink, longestOutage, type Outage } from './trace-link.ts';
import { RULES } from './trace-rules.ts';

const GUEST = 'demo';
const MEMORY_MIB = 256;
const RECORDS_PORT = 7002;
const GUEST_DEADLINE_MS = 60_000;
const ARM_DEADLINE_MS = 90_000;
/** Probes are so far apart that they leave a dying link to others, ms. */
const SPACING_MS = 50;
/** What is still to come when the recording is over, ms. */
const PATIENCE_MS = 30_000;
const AFTER_MS = 3500;

export interface TraceScenarioOptions extends Omit<ScenarioOptions, 'link'> {
  readonly trace: Trace;
  readonly file: string;
}

export interface TraceOutcome {
  readonly facts: GuestFacts;
  /** When the recording began, ms since 1970. */
  readonly startedAtMs: number;
  readonly decisions: readonly DecisionView[];
  /** By the same clock as `startedAtMs`. */
  readonly outage: Outage | undefined;
  /** In the middle of the outage, from the laptop. */
  readonly networkGone: boolean;
}

export class TraceScenario {
  readonly #options: TraceScenarioOptions;
  readonly places = new Map<Side, Place>();
  readonly #changes = new EventEmitter<{ status: [Status] }>();
  readonly #decisions: DecisionView[] = [];
  #probes: Probes | undefined;
  #api: ApiClient | undefined;
  #site: ApiClient | undefined;
  /** What each place said last of the guest's standby elsewhere. */
  readonly #standbys = new Map<Side, string>();
  /** What the link had carried when a handoff was decided. */
  readonly #atDecision = new Map<string, ReturnType<Lab['link']['statistics']>>();
  #status: Status | undefined;

  constructor(options: TraceScenarioOptions) {
    this.#options = options;
  }

  /** Throws at the first thing that does not work. */
  async run(): Promise<TraceOutcome> {
    try {
      return await this.#play();
    } finally {
      this.#api?.close();
      this.#site?.close();
      await this.#probes?.close();
    }
  }

  async #play(): Promise<TraceOutcome> {
    const { story, evidence, lab, trace, signal } = this.#options;
    const link = emulatedLink(trace);
    evidence.event('demo-start', { trace: trace.id });
    await story.step('agents', () => this.#startAgents());
    const facts = await story.step('boot', () => this.#bootGuest());
    story.tell(`the guest runs on the laptop; somebody talks to it at ${facts.hoa4} over TCP`);
    await story.step('plain QEMU migration', () => this.#comparePlain());
    await story.step('arming', () => this.#arm());
    await this.#probes?.startPing('1', SPACING_MS);
    await sleep(1200, undefined, { signal });

    const { startedAtMs } = await this.#device.call('link.play', {});
    await lab.link.play(link);
    evidence.event('trace-start', { startedAtMs });
    evidence.event('watch-start', { handoff: 1 });
    story.tell(`the laptop begins to move as in the recording (${trace.rows.length} s)`);
    await story.step('recording until the handoff', () =>
      this.#moved(1, 'device', 'site', startedAtMs),
    );
    await this.#records(1, facts);
    const outage = longestOutage(trace);
    const networkGone = await story.step('without network', () =>
      this.#isGone(outage, startedAtMs),
    );
    evidence.event('watch-start', { handoff: 2 });
    await this.#probes?.stopPing();
    await this.#probes?.startPing('2', SPACING_MS);
    await story.step('recording until the return', () =>
      this.#moved(2, 'site', 'device', startedAtMs),
    );
    await this.#probes?.stopPing();
    await this.#records(2, facts);
    evidence.event('demo-end');
    return { facts, startedAtMs, decisions: this.#decisions, outage, networkGone };
  }

  async #startAgents(): Promise<void> {
    const { story, file } = this.#options;
    await startPlaces(
      { ...this.#options, deviceFlags: ['--link-trace', file, '--link-trace-held'] },
      this.places,
    );
    const device = this.#place('device');
    this.#api = await ApiClient.connect(apiSocketPath(device.state));
    this.#api
      .call('status.watch', {}, { onItem: (status) => this.#take(status) })
      .catch(() => undefined);
    this.#site = await ApiClient.connect(apiSocketPath(this.#place('site').state));
    this.#site
      .call('status.watch', {}, { onItem: (status) => this.#noteStandby('site', status) })
      .catch(() => undefined);
    story.tell('the agents of laptop and cloud run; automatic handoff is still off');
  }

  async #bootGuest(): Promise<GuestFacts> {
    const { lab, evidence } = this.#options;
    const device = this.#place('device');
    await device.sojourn(
      ...['guest', 'create', GUEST, '--image', 'demo'],
      ...['--memory', `${MEMORY_MIB}`, '--overlay-limit', '64M'],
    );
    await device.sojourn('guest', 'start', GUEST);
    const argv = await commandLine(device, GUEST);
    evidence.commandLine('device', 'start', argv);
    const facts = guestFacts(await showGuest(device, GUEST), argv);
    evidence.event('guest', { ...facts });
    const probes = new Probes(lab.correspondent, evidence.client, [
      { name: 'v4', address: facts.hoa4 },
      { name: 'v6', address: facts.hoa6 },
    ]);
    this.#probes = probes;
    await probes.startCapture();
    await this.#records(0, facts);
    await probes.start();
    probes.spacing(SPACING_MS);
    return facts;
  }

  /** Of a twin, on the good link before the recording: on the recorded one it would not end. */
  async #comparePlain(): Promise<void> {
    const { evidence, story } = this.#options;
    const argv = await commandLine(this.#place('device'), GUEST);
    const plain = new PlainMigration({ ...this.#options, argv });
    try {
      await plain.boot();
      await plain.prepare();
      story.tell('for comparison, a plain QEMU migration moves a twin of it while nobody walks');
      evidence.event('baseline-start');
      await plain.migrate();
      evidence.event('baseline-end');
    } finally {
      await plain.close();
    }
  }

  /** Rules and the switch are all that a person does. */
  async #arm(): Promise<void> {
    const { story } = this.#options;
    await this.#device.call('policy.set', { rules: RULES });
    await this.#device.call('policy.auto', { on: true });
    story.tell('"sojourn policy auto on": from here on nobody does anything by hand');
    const { standby } = await this.#guestWhen(
      ({ standby: now }) => now?.state === 'armed' && now.residueBytes !== null,
      ARM_DEADLINE_MS,
      'the guest to stand by',
    );
    story.tell(`the guest stands by in the cloud (${standby?.residueBytes} bytes behind)`);
  }

  /** By itself, while the recording is played or soon after it. */
  async #moved(number: 1 | 2, from: Side, to: Side, startedAtMs: number): Promise<void> {
    const { evidence, lab, trace, story, signal } = this.#options;
    const last = trace.rows.at(-1)?.sample.atMs ?? 0;
    const lengthMs = last - (trace.rows[0]?.sample.atMs ?? 0);
    const kind = to === 'site' ? 'elsewhere' : 'running';
    const leftMs = startedAtMs + lengthMs + PATIENCE_MS - Date.now();
    const action = to === 'site' ? 'fire' : 'return';
    await this.#guestWhen(({ state }) => state.kind === kind, leftMs, `the guest at the ${to}`);
    const decided = this.#decisions.findLast((one) => one.action === action);
    if (decided === undefined)
      throw new Error(`the guest has gone to the ${to}, and nobody says why`);
    evidence.eventAt(Date.parse(decided.at), 'handoff-start', { handoff: number, from, to });
    const armed = this.#standbys.get(from) === 'armed';
    evidence.event('handoff-end', {
      ...{ handoff: number, from, to },
      kind: armed ? 'armed' : 'cold',
    });
    const before = await this.#atDecision.get(action);
    if (before !== undefined) evidence.link(`handoff-${number}-start`, before);
    evidence.link(`handoff-${number}-end`, await lab.link.statistics());
    story.tell(`the guest has moved to the ${to === 'site' ? 'cloud' : 'laptop'} by itself`);
    evidence.commandLine(to, `handoff-${number}`, await commandLine(this.#place(to), GUEST));
    await sleep(AFTER_MS, undefined, { signal });
    evidence.event('watch-end', { handoff: number });
  }

  /** Whether the laptop reaches nothing in the middle of the outage. */
  async #isGone(outage: Outage | undefined, startedAtMs: number): Promise<boolean> {
    const { lab, story, signal } = this.#options;
    if (outage === undefined) return false;
    const middle = startedAtMs + (outage.fromMs + outage.toMs) / 2;
    await sleep(Math.max(middle - Date.now(), 0), undefined, { signal });
    const gone = await lab.device
      .run(['ping', '-c', '2', '-i', '0.3', '-W', '1', ADDRESSES.site4], { timeoutMs: 5000 })
      .then(
        () => false,
        () => true,
      );
    story.tell(
      gone
        ? 'the laptop has no network any more; everybody goes on talking to the guest'
        : 'the laptop HAS A NETWORK',
    );
    return gone;
  }

  async #records(number: number, { hoa4 }: GuestFacts): Promise<void> {
    const file = this.#options.evidence.path(`records-${number}.txt`);
    await this.#probes?.fetch(hoa4, RECORDS_PORT, file, GUEST_DEADLINE_MS);
  }

  #noteStandby(side: Side, { guests }: Status): void {
    const standby = guests.find(({ name }) => name === GUEST)?.standby;
    if (standby) this.#standbys.set(side, standby.state);
  }

  #take(status: Status): void {
    this.#status = status;
    this.#noteStandby('device', status);
    const known = new Set(this.#decisions.map(keyOf));
    for (const decision of status.link?.policy.recent ?? []) {
      if (known.has(keyOf(decision))) continue;
      this.#decisions.push(decision);
      this.#options.evidence.event('decision', { ...decision });
      if (decision.action === 'fire' || decision.action === 'return') {
        const carried = this.#options.lab.link.statistics();
        // Whoever waits for it is told.
        carried.catch(() => undefined);
        this.#atDecision.set(decision.action, carried);
      }
      if (decision.action !== 'none')
        this.#options.story.tell(`policy: ${decision.action}: ${decision.why}`);
    }
    this.#changes.emit('status', status);
  }

  async #guestWhen(
    matches: (guest: Status['guests'][number]) => boolean,
    deadlineMs: number,
    what: string,
  ): Promise<Status['guests'][number]> {
    const late = AbortSignal.timeout(Math.max(Math.ceil(deadlineMs), 1));
    const signal = AbortSignal.any([late, this.#options.signal]);
    for (let status = this.#status; ; status = this.#status) {
      const guest = status?.guests.find(({ name }) => name === GUEST);
      if (guest !== undefined && matches(guest)) return guest;
      await once(this.#changes, 'status', { signal }).catch((error: unknown) => {
        if (!late.aborted) throw error;
        const said = this.#decisions.map(({ action, why }) => `${action}: ${why}`).slice(-5);
        throw new Error(`waited in vain for ${what}; the policy said: ${said.join('; ')}`);
      });
    }
  }

  get #device(): ApiClient {
    if (this.#api === undefined) throw new Error('the agent of the laptop does not run');
    return this.#api;
  }

  #place(side: Side): Place {
    const place = this.places.get(side);
    if (place === undefined) throw new Error(`the agent of the ${side} does not run`);
    return place;
  }
}

function keyOf({ at, guest, code, action }: DecisionView): string {
  return [at, guest.id, action, code].join(' ');
}
