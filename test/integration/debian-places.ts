/** A device and a site with their agents, and a guest of an ordinary Debian image that was started on the device. */
import { z } from 'zod';
import { ADDRESSES, Lab } from '../lab/index.ts';
import { AgentPlace, type Side } from './agent-place.ts';
import { type DebianImage, imageFolder } from './debian-guest.ts';

/** Saving the memory of a desktop over 100 Mbit/s, and a power-down that waits for services. */
const COMMAND_DEADLINE_MS = 300_000;
const LINK = { rateBitsPerSecond: 100e6, delayMs: 5 };

const invited = z.looseObject({ invite: z.string() });
const handoffLine = z.looseObject({
  result: z
    .looseObject({ pauseMs: z.number(), triggerToRunningMs: z.number(), bytesOnLink: z.number() })
    .optional(),
});

/** An emulated boot takes one minute on an idle machine. */
export const BOOT_DEADLINE_MS = 400_000;

export class DebianPlaces {
  readonly lab: Lab;
  readonly device: AgentPlace;
  readonly site: AgentPlace;
  readonly #guest: string;

  private constructor(lab: Lab, guest: string) {
    const common = {
      lab,
      logs: process.env.SOJOURN_TEST_LOGS ?? lab.directory,
      commandDeadlineMs: COMMAND_DEADLINE_MS,
    };
    this.lab = lab;
    this.#guest = guest;
    this.device = new AgentPlace({ ...common, side: 'device', name: 'laptop', flags: [] });
    this.site = new AgentPlace({
      ...{ ...common, side: 'site', name: 'cloud' },
      flags: [
        ...['--listen', '0.0.0.0:7420', '--advertise', ADDRESSES.site4, '--tap', 'sojourn0'],
        ...['--hoa4', ADDRESSES.hoaPrefix4, '--hoa6', ADDRESSES.hoaPrefix6],
      ],
    });
  }

  /** The guest is named as its image, and has not booted yet. */
  static async create(image: DebianImage): Promise<DebianPlaces> {
    const places = new DebianPlaces(await Lab.create({ up: LINK, down: LINK }), image);
    try {
      await places.#build(image);
      return places;
    } catch (error) {
      await places.close();
      throw error;
    }
  }

  /** What that place says of the guest. */
  async view(side: Side) {
    const guest = await this[side].guest(this.#guest);
    if (guest === undefined) throw new Error(`${side} does not know the guest`);
    return guest;
  }

  /** Hands the guest over and prints how that went; resolves with how long the guest stood still. */
  async handOff(from: Side, to: Side): Promise<{ pauseMs: number }> {
    const command = ['handoff', this.#guest, '--to', this[to].name, '--json'];
    const output = await this[from].sojourn(...command);
    const summary = output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => handoffLine.parse(JSON.parse(line)).result)
      .findLast((one) => one !== undefined);
    if (summary === undefined) throw new Error(`no result: ${output}`);
    const { pauseMs, triggerToRunningMs, bytesOnLink } = summary;
    const seconds = (triggerToRunningMs / 1000).toFixed(1);
    const megabytes = (bytesOnLink / 1e6).toFixed(1);
    console.log(`handoff ${from} -> ${to}: ${seconds} s, pause ${pauseMs} ms, ${megabytes} MB`);
    return { pauseMs };
  }

  async close(): Promise<void> {
    this.device.close();
    this.site.close();
    await this.lab.close();
  }

  async #build(image: DebianImage): Promise<void> {
    const { device, site } = this;
    for (const place of [device, site]) {
      await place.start();
      await place.sojourn('image', 'import', imageFolder(image));
    }
    const { invite } = invited.parse(JSON.parse(await site.sojourn('invite', '--json')));
    await device.sojourn('pair', invite);
    const limit = ['--overlay-limit', '1G'];
    await device.sojourn('guest', 'create', this.#guest, '--image', image, ...limit);
    await device.sojourn('guest', 'start', this.#guest);
  }
}

/** Prints how long the action took. */
export async function timed<Result>(what: string, action: () => Promise<Result>): Promise<Result> {
  const started = performance.now();
  const outcome = await action();
  console.log(`${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return outcome;
}
