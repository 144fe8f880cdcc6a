/**
 * Time to leave before the machine sleeps or goes down: a delay lock of logind, held by a small process of its own
 * (systemd-inhibit(1)), which is as good as the descriptor that logind gives out and is gone when we are.
 */
import { type ChildProcess, spawn } from 'node:child_process';

export class Inhibitor {
  #holder: ChildProcess | undefined;

  /** @param why shown to a person who asks what delays sleep */
  hold(why: string): void {
    if (process.platform !== 'linux' || this.#holder !== undefined) return;
    const holder = spawn(
      'systemd-inhibit',
      ['--what=sleep:shutdown', '--mode=delay', '--who=Sojourn', `--why=${why}`, 'cat'],
      // `cat` ends when this process does, however that ends.
      { stdio: ['pipe', 'ignore', 'ignore'] },
    );
    this.#holder = holder;
    const gone = () => {
      if (this.#holder === holder) this.#holder = undefined;
    };
    // Without systemd there is nothing that could be delayed.
    holder.once('error', gone);
    holder.once('exit', gone);
  }

  release(): void {
    this.#holder?.stdin?.end();
    this.#holder = undefined;
  }
}
