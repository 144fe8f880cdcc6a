/** Sojourn itself, used as a person would: by its command. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { collectLogs } from '../../demo/evidence.ts';
import type { Place } from '../../demo/place.ts';
import { commandLine, guestFacts, type Side, showGuest, startPlaces } from '../../demo/places.ts';
import type { Mover, MoverOptions, StartedGuest } from './mover.ts';
import { createGuest, GUEST } from './reference-guest.ts';

const SITE = 'cloud';

const handoffLine = z.looseObject({
  progress: z.looseObject({ residueBytes: z.number().nullable() }).optional(),
  result: z.looseObject({ kind: z.enum(['cold', 'armed']) }).optional(),
});

export class SojournMover implements Mover {
  readonly #options: MoverOptions;
  readonly #kind: 'cold' | 'armed';
  readonly places = new Map<Side, Place>();
  #residueBytes = Number.NaN;

  constructor(options: MoverOptions, kind: 'cold' | 'armed') {
    this.#options = options;
    this.#kind = kind;
  }

  async start(): Promise<StartedGuest> {
    await startPlaces(this.#options, this.places);
    await createGuest(this.#device);
    const argv = await commandLine(this.#device, GUEST);
    const { hoa4 } = guestFacts(await showGuest(this.#device, GUEST), argv);
    return { address: hoa4, argv };
  }

  get arm(): (() => Promise<void>) | undefined {
    return this.#kind === 'armed' ? () => this.#arm() : undefined;
  }

  async move(): Promise<void> {
    const { evidence } = this.#options;
    const lines = evidence.path('handoff-1.jsonl');
    let kind: string | undefined;
    await this.#device.follow(['handoff', GUEST, '--to', SITE], (line) => {
      appendFileSync(lines, `${line}\n`);
      const { progress, result } = handoffLine.parse(JSON.parse(line));
      this.#residueBytes = progress?.residueBytes ?? this.#residueBytes;
      kind = result?.kind ?? kind;
    });
    if (kind !== this.#kind) throw new Error(`it was a handoff of the kind ${kind}`);
  }

  async leftBytes(): Promise<number> {
    return this.#residueBytes;
  }

  collect(): void {
    for (const [side, { state }] of this.places)
      collectLogs(state, this.#options.evidence.path(side));
  }

  async noteStatus(): Promise<void> {
    const file = this.#options.evidence.path('status-before.json');
    writeFileSync(file, await this.#device.sojourn('status'));
  }

  async #arm(): Promise<void> {
    const lines = this.#options.evidence.path('arm.jsonl');
    const note = (line: string): void => appendFileSync(lines, `${line}\n`);
    await this.#device.follow(['arm', GUEST, '--at', SITE, '--wait'], note);
  }

  get #device(): Place {
    const place = this.places.get('device');
    if (place === undefined) throw new Error('the agent of the device does not run');
    return place;
  }
}
