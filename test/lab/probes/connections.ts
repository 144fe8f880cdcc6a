/**
 * Long-lived TCP connections to the guest and its reports, as a process: `node connections.ts
 * OPTIONS-JSON`; it ends when standard input closes. Logs, times in CLOCK_MONOTONIC ns:
 *
 *   tcp-NAME.log       `open <ns> <local port>`, `line <ns> <n> <boot id>`, `sent <ns> <n>`,
 *                      `echo <ns> <n>`, `odd <ns> <text>`, `broken <ns> <why>`
 *   reports-NAME.log   `got <ns> <counter> <boot id> <records> <guest monotonic ms> <guest realtime ms>`
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { connect, isIPv6, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { obey, probeOptions, type Target } from './commands.ts';
import { nanoseconds, ProbeLog } from './log.ts';

const LINES_PORT = 7000;
const CONTROL_PORT = 7003;
const ECHO_EVERY_MS = 100;
const ORDER_AGAIN_MS = 1000;

class LineClient {
  readonly #log: ProbeLog;
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  #sent = 0;
  #closing = false;

  constructor(directory: string, target: Target) {
    const log = new ProbeLog(join(directory, `tcp-${target.name}.log`));
    const socket = connect({ host: target.address, port: LINES_PORT, noDelay: true });
    this.#log = log;
    this.#socket = socket;
    socket.on('connect', () => log.write(`open ${nanoseconds()} ${socket.localPort}`));
    socket.on('error', (error) => this.#broken(error.message));
    socket.on('close', () => this.#broken('closed'));
    createInterface({ input: socket }).on('line', (line) => this.#take(line));
    this.#timer = setInterval(() => {
      if (socket.readyState !== 'open') return;
      this.#sent += 1;
      log.write(`sent ${nanoseconds()} ${this.#sent}`);
      socket.write(`hello ${this.#sent}\n`);
    }, ECHO_EVERY_MS);
  }

  #take(line: string): void {
    const now = nanoseconds();
    const numbered = /^([0-9a-f-]{36}) (\d+)$/.exec(line);
    const echoed = /^echo hello (\d+)$/.exec(line);
    if (numbered !== null) this.#log.write(`line ${now} ${numbered[2]} ${numbered[1]}`);
    else if (echoed !== null) this.#log.write(`echo ${now} ${echoed[1]}`);
    else this.#log.write(`odd ${now} ${JSON.stringify(line.slice(0, 200))}`);
  }

  #broken(why: string): void {
    clearInterval(this.#timer);
    if (!this.#closing) this.#log.write(`broken ${nanoseconds()} ${why}`);
    this.#closing = true;
  }

  close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#timer);
    this.#socket.destroy();
    return this.#log.close();
  }
}

class Reports {
  readonly #log: ProbeLog;
  readonly #socket: DatagramSocket;
  #answered = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(directory: string, { name, address }: Target) {
    const log = new ProbeLog(join(directory, `reports-${name}.log`));
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    this.#log = log;
    this.#socket = socket;
    socket.on('message', (message) => {
      const now = nanoseconds();
      const [word, boot, counter, records, monotonic, realtime] = message
        .toString('latin1')
        .trim()
        .split(' ');
      this.#answered = true;
      if (word === 'report')
        log.write(`got ${now} ${counter} ${boot} ${records} ${monotonic} ${realtime}`);
    });
    socket.on('error', () => {});
    const ask = (): void => {
      if (this.#answered) return;
      socket.send('report-to', CONTROL_PORT, address, () => {});
      this.#timer = setTimeout(ask, ORDER_AGAIN_MS);
    };
    ask();
  }

  close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#socket.close();
    return this.#log.close();
  }
}

const { directory, targets } = probeOptions.parse(JSON.parse(process.argv[2] ?? ''));
const open = targets.flatMap((each) => [
  new LineClient(directory, each),
  new Reports(directory, each),
]);
obey(
  () => {},
  async () => {
    await Promise.all(open.map((each) => each.close()));
  },
);
process.stdout.write('ready\n');
