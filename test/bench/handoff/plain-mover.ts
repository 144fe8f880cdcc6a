/** Plain QEMU: the demo's yardstick in the bridged network, with everything that it does at the trigger counted. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PlainMigration, twinDirectories } from '../../demo/plain-migration.ts';
import { bridgePlaces } from './bridged-network.ts';
import type { Mover, MoverOptions, StartedGuest } from './mover.ts';

export class PlainMover implements Mover {
  readonly #options: MoverOptions;
  readonly #argv: readonly string[];
  readonly #migration: PlainMigration;

  /** `argv`: as Sojourn starts the guest. */
  constructor(options: MoverOptions, argv: readonly string[]) {
    this.#options = options;
    this.#argv = argv;
    const { limitMs, ...rest } = options;
    this.#migration = new PlainMigration({
      ...{ ...rest, argv, sides: ['device', 'site'] },
      deadlineMs: limitMs,
    });
  }

  async start(): Promise<StartedGuest> {
    const { lab } = this.#options;
    const [source, destination] = twinDirectories(lab);
    for (const directory of [source, destination])
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    const sockets = [join(source, 'net.sock'), join(destination, 'net.sock')] as const;
    const { address } = await bridgePlaces(lab, sockets);
    await this.#migration.boot();
    await this.#migration.prepare();
    return { address, argv: this.#argv };
  }

  move(): Promise<void> {
    return this.#migration.migrate();
  }

  leftBytes(): Promise<number> {
    return this.#migration.remainingBytes();
  }
}
