/** What tests and the demo say to an emulator process. */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { type ControlAnswer, type ControlRequest, controlAnswer } from './control.ts';
import type { DirectionChoice, DirectionName, WayStatistics } from './link.ts';
import type { DirectionPatch, LinkTrace } from './parameters.ts';

export class EmulatorClient {
  readonly #socket: Socket;
  readonly #waiting: { resolve(answer: ControlAnswer): void; reject(error: Error): void }[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on('line', (line) => {
      this.#waiting.shift()?.resolve(controlAnswer.parse(JSON.parse(line)));
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the emulator closed its control socket')));
  }

  static connect(path: string): Promise<EmulatorClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path, () => {
        socket.off('error', reject);
        resolve(new EmulatorClient(socket));
      });
      socket.once('error', reject);
    });
  }

  set(parameters: DirectionPatch, direction: DirectionChoice = 'both'): Promise<void> {
    return this.#command({ command: 'set', direction, parameters });
  }

  /** Loses every frame until `restore`. */
  cut(direction: DirectionChoice = 'both'): Promise<void> {
    return this.set({ state: 'cut' }, direction);
  }

  /** Keeps every frame until `restore`. */
  stall(direction: DirectionChoice = 'both'): Promise<void> {
    return this.set({ state: 'stalled' }, direction);
  }

  /** Loses, in silence, the frames that enter one direction. */
  blackhole(direction: DirectionName): Promise<void> {
    return this.set({ state: 'blackhole' }, direction);
  }

  restore(direction: DirectionChoice = 'both'): Promise<void> {
    return this.set({ state: 'up' }, direction);
  }

  /** Starts a trace now, in place of one that may be under way. */
  play(trace: LinkTrace): Promise<void> {
    return this.#command({ command: 'play', trace });
  }

  async statistics(): Promise<Record<DirectionName, WayStatistics>> {
    const { statistics } = await this.#ask({ command: 'statistics' });
    if (statistics === undefined) throw new Error('the emulator answered without statistics');
    return statistics;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #command(request: ControlRequest): Promise<void> {
    await this.#ask(request);
  }

  async #ask(request: ControlRequest): Promise<ControlAnswer & { ok: true }> {
    const answer = await new Promise<ControlAnswer>((resolve, reject) => {
      if (this.#socket.destroyed) reject(new Error('the emulator is gone'));
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`${JSON.stringify(request)}\n`);
    });
    if (!answer.ok) throw new Error(`the emulator refused: ${answer.error}`);
    return answer;
  }

  #fail(error: Error): void {
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }
}
