/** A QMP server for unit tests: greets, negotiates, then does what the test says. */
import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FakeCommand {
  readonly execute?: string;
  readonly 'exec-oob'?: string;
  readonly arguments?: unknown;
  readonly id: number;
}

export const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "Debian"}, "capabilities": ["oob"]}}';

let sequence = 0;

export class FakeQmp {
  readonly path = join(tmpdir(), `fake-qmp-${process.pid}-${sequence++}.sock`);
  readonly commands: FakeCommand[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #arrived: () => void = () => undefined;

  private constructor(
    greeting: string | undefined,
    answer: (fake: FakeQmp, command: FakeCommand) => void,
  ) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
      if (greeting !== undefined) socket.write(`${greeting}\r\n`);
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString('utf8');
        const lines = text.split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) {
          const command = JSON.parse(line) as FakeCommand;
          this.commands.push(command);
          if (command.execute === 'qmp_capabilities') this.result(command, {});
          else answer(this, command);
        }
        this.#arrived();
      });
    });
  }

  static async listen(
    answer: (fake: FakeQmp, command: FakeCommand) => void = () => undefined,
    greeting: string | undefined = GREETING,
  ): Promise<FakeQmp> {
    const fake = new FakeQmp(greeting, answer);
    await new Promise<void>((resolve) => fake.#server.listen(fake.path, resolve));
    return fake;
  }

  static silent(): Promise<FakeQmp> {
    return FakeQmp.listen(() => undefined, '');
  }

  raw(text: string): void {
    for (const socket of this.#sockets) socket.write(text);
  }

  result(command: FakeCommand, value: unknown): void {
    this.raw(`${JSON.stringify({ return: value, id: command.id })}\r\n`);
  }

  event(name: string, data: unknown = {}): void {
    const stamp = '{"seconds": 1700000000, "microseconds": 250000}';
    this.raw(`{"timestamp": ${stamp}, "event": "${name}", "data": ${JSON.stringify(data)}}\r\n`);
  }

  /** Resolves when as many commands (negotiation included) have arrived. */
  async received(count: number): Promise<void> {
    while (this.commands.length < count) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  /** Ends every connection, as the kernel does when QEMU is killed. */
  die(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.die();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await rm(this.path, { force: true });
  }
}
