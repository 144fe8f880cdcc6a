/** One run of a lab: its namespaces, its folders, and the guard that removes all of it whatever happens to the program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { RUN_VARIABLE, removeDeadRuns, runDirectory, runMemory, runName } from './leftovers.ts';
import { endProcess, Namespace } from './namespace.ts';

let runs = 0;

export class LabRun<Name extends string> {
  readonly name: string;
  /** For sockets, state and logs of this run; removed at the end. */
  readonly directory: string;
  /** The run's XDG_RUNTIME_DIR, a folder on a tmpfs; removed at the end. */
  readonly memory: string;
  readonly namespaces: Readonly<Record<Name, Namespace>>;
  readonly #guard: ChildProcess;

  private constructor(
    name: string,
    namespaces: Readonly<Record<Name, Namespace>>,
    guard: ChildProcess,
  ) {
    this.name = name;
    this.directory = runDirectory(name);
    this.memory = runMemory(name);
    this.namespaces = namespaces;
    this.#guard = guard;
  }

  /** Makes empty namespaces. What dead runs left behind is removed on the way. */
  static async start<Name extends string>(names: readonly Name[]): Promise<LabRun<Name>> {
    await removeDeadRuns();
    runs += 1;
    const run = runName(runs);
    for (const directory of [runDirectory(run), runMemory(run)])
      await mkdir(directory, { mode: 0o700 });
    // The user's service manager is not of the lab: nothing in it may be handed to one.
    const env = {
      [RUN_VARIABLE]: run,
      XDG_RUNTIME_DIR: runMemory(run),
      DBUS_SESSION_BUS_ADDRESS: undefined,
    };
    const made = await Promise.all(names.map(async (name) => Namespace.create(name, env)));
    const namespaces = Object.fromEntries(made.map((one) => [one.name, one]));
    const marks = { run, namespaces: made.map(({ mark }) => mark) };
    const guardFile = fileURLToPath(new URL('./guard.ts', import.meta.url));
    const guard = spawn(process.execPath, [guardFile, JSON.stringify(marks)], {
      stdio: ['pipe', 'ignore', 'inherit'],
      detached: true,
    });
    return new LabRun(run, namespaces as Record<Name, Namespace>, guard);
  }

  /** Ends everything that runs in it and removes it; then the namespaces go. `more`: processes of the run outside of them. */
  async close(more: readonly ChildProcess[] = []): Promise<void> {
    const gone = once(this.#guard, 'exit');
    this.#guard.stdin?.end();
    if (this.#guard.exitCode === null && this.#guard.signalCode === null) await gone;
    await Promise.all(more.map((child) => endProcess(child)));
    await Promise.all(Object.values<Namespace>(this.namespaces).map((each) => each.close()));
  }
}
