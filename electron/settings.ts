/** What this app remembers for itself; all that concerns guests is the agent's. */
import { z } from 'zod';
import { readFileIfPresent, writeFileAtomically } from '../src/common/index.ts';

const settings = z.object({
  notifications: z.boolean().default(true),
  /** The screen of a guest that comes here opens by itself; off unless a person turns it on. */
  screenOnArrival: z.boolean().default(false),
  /** Looks for new versions; off unless a person turns it on. */
  automaticUpdates: z.boolean().default(false),
});
export type Settings = z.output<typeof settings>;

export class SettingsFile {
  readonly #path: string;
  #current: Settings;

  private constructor(path: string, current: Settings) {
    this.#path = path;
    this.#current = current;
  }

  /** A file that is missing or damaged stands for what is set at first. */
  static async read(path: string): Promise<SettingsFile> {
    const text = await readFileIfPresent(path);
    return new SettingsFile(path, parse(text));
  }

  get current(): Settings {
    return this.#current;
  }

  async change(change: Partial<Settings>): Promise<void> {
    this.#current = { ...this.#current, ...change };
    await writeFileAtomically(this.#path, `${JSON.stringify(this.#current, null, 2)}\n`);
  }
}

function parse(text: string | undefined): Settings {
  try {
    return settings.parse(JSON.parse(text ?? '{}'));
  } catch {
    return settings.parse({});
  }
}
