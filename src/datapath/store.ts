/**
 * `datapath.json`: what a datapath needs to go on where its predecessor died, before the agent says anything.
 * Written behind, as a whole, the latest state only. It has to survive a kill and not a power cut, which ends the guests
 * as well: so it is not synced, which would cost milliseconds in a switchover.
 */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errorText, readFileIfPresent } from '../common/index.ts';
import { configuration, guestSettings } from './control.ts';

const savedState = z.strictObject({
  version: z.literal(1),
  configuration: configuration.optional(),
  guests: z.array(guestSettings),
});
export type SavedState = z.infer<typeof savedState>;

export class StateFile {
  readonly #path: string;
  readonly #onError: (message: string) => void;
  #wanted: (() => SavedState) | undefined;
  #writing: Promise<void> | undefined;

  constructor(directory: string, onError: (message: string) => void) {
    this.#path = join(directory, 'datapath.json');
    this.#onError = onError;
  }

  /** @returns undefined without a readable one; that costs a restart its speed, nothing else. */
  async load(): Promise<SavedState | undefined> {
    try {
      const text = await readFileIfPresent(this.#path);
      return text === undefined ? undefined : savedState.parse(JSON.parse(text));
    } catch (error) {
      this.#onError(`${this.#path} is damaged and was ignored: ${errorText(error)}`);
      return undefined;
    }
  }

  /** @param state called when it is written, not before. */
  save(state: () => SavedState): void {
    this.#wanted = state;
    this.#writing ??= this.#write();
  }

  /** Resolves when all that was to be saved has been written. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#wanted !== undefined) {
      const state = this.#wanted;
      this.#wanted = undefined;
      try {
        const temporary = `${this.#path}.tmp`;
        await writeFile(temporary, JSON.stringify(state()), { mode: 0o600 });
        await rename(temporary, this.#path);
      } catch (error) {
        this.#onError(`${this.#path} cannot be written: ${errorText(error)}`);
      }
    }
    this.#writing = undefined;
  }
}
