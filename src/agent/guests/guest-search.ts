/** Finds the QEMUs of guests again that an earlier agent left running, however long they take to answer. */
import { setTimeout as delay } from 'node:timers/promises';
import { SojournError } from '../../common/index.ts';
import {
  findStrays,
  GuestProcess,
  type GuestProcessOptions,
  type GuestProcessRecord,
  killProcess,
} from '../../guest/index.ts';
import type { GuestRuntime } from '../../guest/runtime.ts';
import type { GuestSpec } from '../../guest/spec.ts';

/** Between tries to reach a QEMU that does not answer, ms; doubles from the first to the last. */
const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 15_000;

/** A QEMU of this place that runs and does not answer: it can be ended by force, and nothing else. */
export interface Unresponsive {
  readonly pid: number;
  readonly since: Date;
  readonly detail: string;
}

class GuestSearch {
  readonly #spec: GuestSpec;
  readonly #record: GuestProcessRecord;
  readonly #options: GuestProcessOptions;
  readonly #givenUp = new AbortController();
  /** Ends a wait before its time. */
  #wake = new AbortController();
  #unresponsive: Unresponsive | undefined;

  constructor(spec: GuestSpec, record: GuestProcessRecord, options: GuestProcessOptions) {
    this.#spec = spec;
    this.#record = record;
    this.#options = options;
  }

  /** Undefined while it is not known to be. */
  get unresponsive(): Unresponsive | undefined {
    return this.#unresponsive;
  }

  get pid(): number {
    return this.#record.process.pid;
  }

  /**
   * Resolves when the QEMU answers, to undefined when it is gone. `changed`: it was found not to answer.
   * @throws SojournError `guest-unresponsive` when it is given up
   */
  async find(changed: () => void): Promise<GuestProcess | undefined> {
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(LAST_WAIT_MS, waitMs * 2)) {
      try {
        const found = await GuestProcess.adopt(this.#record, this.#options);
        if (found === undefined || !this.#givenUp.signal.aborted) return found;
        found.release();
        throw guestUnresponsive(this.#spec, this.#record.process);
      } catch (error) {
        const silent = error instanceof SojournError && error.code === 'guest-unresponsive';
        if (!silent || this.#givenUp.signal.aborted) throw error;
        this.#unresponsive = {
          pid: this.pid,
          since: this.#unresponsive?.since ?? new Date(),
          detail: error.message,
        };
        changed();
      }
      await this.#wait(waitMs);
    }
  }

  /** Ends it by its record; `find` then resolves. @throws Error when it survives SIGKILL */
  async kill(): Promise<void> {
    await killProcess(this.#record.process);
    this.#wake.abort();
  }

  /** Lets go of it: it goes on, and `find` rejects. */
  giveUp(): void {
    this.#givenUp.abort();
    this.#wake.abort();
  }

  async #wait(waitMs: number): Promise<void> {
    const { signal } = this.#wake;
    await delay(waitMs, undefined, { signal, ref: false }).catch(() => {
      this.#wake = new AbortController();
    });
  }
}

/** Those under way, by guest. */
export class GuestSearches {
  readonly #changed: (guestId: string) => void;
  readonly #searches = new Map<string, GuestSearch>();

  /** `changed`: a guest has been found not to answer. */
  constructor(changed: (guestId: string) => void) {
    this.#changed = changed;
  }

  of(guestId: string): GuestSearch | undefined {
    return this.#searches.get(guestId);
  }

  /** As `GuestSearch.find`. */
  async find(
    spec: GuestSpec,
    record: GuestProcessRecord,
    options: GuestProcessOptions,
  ): Promise<GuestProcess | undefined> {
    const search = new GuestSearch(spec, record, options);
    this.#searches.set(spec.id, search);
    try {
      return await search.find(() => this.#changed(spec.id));
    } finally {
      this.#searches.delete(spec.id);
    }
  }

  giveUp(): void {
    for (const search of this.#searches.values()) search.giveUp();
  }
}

/** A QEMU whose start an agent that died had begun and not recorded; null where there is none. */
export async function findUnrecorded(
  spec: GuestSpec,
  runtime: Omit<GuestRuntime, 'binary'>,
): Promise<GuestProcessRecord | null> {
  const [stray, ...others] = await findStrays(spec.id, runtime.directory);
  if (stray === undefined || others.length > 0) return null;
  const { process, binary } = stray;
  return { version: 1, guestId: spec.id, process, runtime: { binary, ...runtime } };
}

export function guestUnresponsive(
  spec: GuestSpec,
  { pid }: Pick<Unresponsive, 'pid'>,
): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'guest-unresponsive',
    message: `QEMU (process ${pid}) of ${spec.name} runs but does not answer`,
    remedy: `Wait until it answers again, or end it with "sojourn guest stop ${spec.name} --force"`,
  });
}
