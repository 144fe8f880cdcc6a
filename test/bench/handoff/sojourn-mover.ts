/** Sojourn itself. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { ApiClient, apiSocketPath } from '../../../src/api/index.ts';
import { collectLogs } from '../../demo/evidence.ts';
import type { Place } from '../../demo/place.ts';
import { commandLine, guestFacts, type Side, showGuest, startPlaces } from '../../demo/places.ts';
import type { Mover, MoverOptions, StartedGuest } from './mover.ts';
import { createGuest, GUEST } from './reference-guest.ts';

const SITE = 'cloud';

export class SojournMover implements Mover {
  readonly #options: MoverOptions;
  readonly #kind: 'cold' | 'armed';
  readonly places = new Map<Side, Place>();
  #client: ApiClient | undefined;
  #residueBytes = Number.NaN;

  constructor(options: MoverOptions, kind: 'cold' | 'armed') {
    this.#options = options;
    this.#kind = kind;
  }

  async start(): Promise<StartedGuest> {
    await startPlaces(this.#options, this.places);
    await createGuest(this.#device);
    const argv = await commandLine(this.#device, GUEST);
    this.#client = await ApiClient.connect(apiSocketPath(this.#device.state));
    const { hoa4 } = guestFacts(await showGuest(this.#device, GUEST), argv);
    return { address: hoa4, argv };
  }

  get arm(): (() => Promise<void>) | undefined {
    return this.#kind === 'armed' ? () => this.#arm() : undefined;
  }

  /** By the call that the command makes and the tray: the start of a Node for the command is no part of the handoff. */
  async move(): Promise<void> {
    const { evidence, signal } = this.#options;
    const lines = evidence.path('handoff-1.jsonl');
    const note = (line: object): void => appendFileSync(lines, `${JSON.stringify(line)}\n`);
    const client = this.#client;
    if (client === undefined) throw new Error('the agent of the device is not connected');
    const order = { guest: GUEST, to: SITE };
    const result = await client.call('handoff.start', order, {
      signal,
      onItem: (progress) => {
        note({ progress });
        this.#residueBytes = progress.residueBytes ?? this.#residueBytes;
      },
    });
    note({ result });
    if (result.kind !== this.#kind) throw new Error(`it was a handoff of the kind ${result.kind}`);
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
