/** The gateways' processes. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer, Question } from './protocol.ts';

/** Started at the same time: each takes most of a second of a processor. */
const AT_ONCE = 8;
const PROGRAM = join(import.meta.dirname, 'gateway.ts');

type Unnumbered<T> = T extends unknown ? Omit<T, 'id'> : never;

export class Gateways {
  readonly #children = new Map<string, ChildProcess>();
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 1;
  #cache = '';
  #closing = false;

  /** @param connected resolves when the controller has found the gateway as it should be. */
  async start(
    gateways: readonly { readonly id: string; readonly datapathId: string }[],
    controllerPort: number,
    connected: (id: string) => Promise<void>,
  ): Promise<void> {
    this.#cache = await mkdtemp(join(tmpdir(), 'sojourn-push-'));
    // The first one leaves the compiled sources to all others: a third of the time and two thirds of the memory of each.
    const first = this.#fork('0', controllerPort);
    first.disconnect();
    await once(first, 'exit');
    const queue = gateways.values();
    const work = async () => {
      for (const { id, datapathId } of queue) {
        const child = this.#fork(datapathId, controllerPort);
        child.on('message', (answer: Answer) => {
          this.#waiting.get(answer.id)?.(answer);
          this.#waiting.delete(answer.id);
        });
        child.once('exit', (code) => {
          if (!this.#closing) throw new Error(`gateway ${id} ended with ${code}`);
        });
        this.#children.set(id, child);
        await connected(id);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  ask<A extends Answer>(gateway: string, question: Unnumbered<Question>): Promise<A> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, (answer) => resolve(answer as A));
      this.#children.get(gateway)?.send({ ...question, id });
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const child of this.#children.values()) child.disconnect();
    await rm(this.#cache, { recursive: true, force: true });
  }

  #fork(datapathId: string, controllerPort: number): ChildProcess {
    return fork(PROGRAM, [datapathId, String(controllerPort)], {
      env: { ...process.env, NODE_COMPILE_CACHE: this.#cache },
      // Small heaps: there are many of them.
      execArgv: ['--max-old-space-size=128', '--max-semi-space-size=1'],
    });
  }
}
