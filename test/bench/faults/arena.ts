/** A pair of places in which one trial follows the other, and what they have when nothing has happened to them. */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Side } from '../../integration/agent-place.ts';
import { GUEST, type PlacesOptions, TwoPlaces } from '../../integration/two-places.ts';
import { endProcess } from '../../lab/index.ts';
import { difference, inventory } from './inventory.ts';

const METER = fileURLToPath(new URL('./judge/meter.ts', import.meta.url));
/** What was told to end may take so long, ms. */
const TIDY_MS = 15_000;
const LOOK_EVERY_MS = 100;

export class Arena implements AsyncDisposable {
  readonly places: TwoPlaces;
  readonly #baselines = new Map<Side, readonly string[]>();
  readonly #meter: ReturnType<typeof spawn>;
  /** The guest has been booted more than once. */
  rebooted = false;
  /** Where the guest is, as far as is known. */
  side: Side = 'device';
  #log: string | undefined;

  private constructor(places: TwoPlaces) {
    this.places = places;
    this.#meter = spawn(process.execPath, [METER, places.lab.directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let rest = '';
    this.#meter.stdout?.on('data', (data: Buffer) => {
      const lines = (rest + data.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.note(line);
    });
  }

  static async create(options: PlacesOptions): Promise<Arena> {
    const arena = new Arena(await TwoPlaces.create(options));
    try {
      // What there is when all is as it should be; having been at a place leaves nothing there.
      arena.#baselines.set('device', await settledInventory(arena.places));
      await arena.places.move('device');
      arena.#baselines.set('site', await settledInventory(arena.places));
      arena.side = 'site';
      return arena;
    } catch (error) {
      await arena[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Writes down what is seen from now on, until the next call. */
  async observe(log: string): Promise<void> {
    await this.#witnessed();
    this.#log = log;
    this.note(`boots ${this.rebooted ? 'any' : 'one'}`);
  }

  note(line: string): void {
    if (this.#log !== undefined) appendFileSync(this.#log, `${line}\n`);
  }

  stopObserving(): void {
    this.#log = undefined;
  }

  /** What is there too much or too little with the guest at that side, once everything has had time to end. */
  async leftovers(side: Side): Promise<string[]> {
    const baseline = this.#baselines.get(side) ?? [];
    const until = performance.now() + TIDY_MS;
    for (;;) {
      const found = difference(baseline, inventory(this.places)).filter(
        (line) => !isCopy(line, side),
      );
      if (found.length === 0 || performance.now() > until) return found;
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** After its death: the same guest from its disk. */
  async startAgain(side: Side): Promise<void> {
    await this.places.place(side).api.call('guest.start', { guest: GUEST });
    this.rebooted = true;
    await this.#witnessed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endProcess(this.#meter);
    await this.places.close();
  }

  async #witnessed(): Promise<void> {
    (await this.places.newWitness()).on('line', (line) => this.note(line));
  }
}

/** A guest in memory is copied to the disk of its own place from time to time, and that is meant to stay there. */
function isCopy(line: string, side: Side): boolean {
  return line.startsWith(`+ file ${side}/guests/`) && /\/disk\d+\.qcow2$/.test(line);
}

/** Two looks that agree. */
async function settledInventory(places: TwoPlaces): Promise<string[]> {
  const until = performance.now() + TIDY_MS;
  for (let before = inventory(places); ; ) {
    await sleep(10 * LOOK_EVERY_MS);
    const after = inventory(places);
    if (difference(before, after).length === 0 || performance.now() > until) return after;
    before = after;
  }
}
