/**
 * Numbered datagrams to the guest's echo service and from its stream service, as a process:
 * `node datagrams.ts OPTIONS-JSON`, then commands on standard input (commands.ts). Logs:
 *
 *   echo-NAME.log     `sent <ns> <n>`, `got <ns> <n>`, `late <ns> <how many were due at once>`
 *   stream-NAME.log   `order <ns> <chunk> <datagrams>`, `got <ns> <chunk> <n> <guest us>`
 *
 * The guest is asked for streams in chunks of known length, each on a port of its own, the next one
 * before the last has ended: so there is no gap between them, and it is known what must arrive.
 */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { datagramCommand, obey, probeOptions, type Target } from './commands.ts';
import { nanoseconds, ProbeLog } from './log.ts';

const ECHO_PORT = 7;
const CONTROL_PORT = 7003;
/** To IPv4 and IPv6 in turn: the guest sends one a millisecond in all. */
const STREAM_SPACING_US = 2000;
const CHUNK = 1000;
/** So many datagrams before the end of a chunk the next one is asked for. */
const OVERLAP = 150;
/** An order that was answered late and is given again makes the guest send twice. */
const ORDER_AGAIN_MS = 3000;
/** When the streams are to end and nothing came for so long, nothing will come. */
const QUIET_MS = 1500;
/** A burst this long is noted: timers of Node are 1 ms wide, so one or two are usual. */
const LATE = 4;
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

async function open(address: string, onMessage: (message: Buffer) => void): Promise<Socket> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.on('message', onMessage);
  // ICMP errors of a network that is just being rebuilt; what is lost shows in the log.
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.bind(0, resolve));
  socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  return socket;
}

class EchoSeries {
  readonly #log: ProbeLog;
  readonly #target: Target;
  readonly #socket: Socket;
  #sent = 0;

  private constructor(log: ProbeLog, target: Target, socket: Socket) {
    this.#log = log;
    this.#target = target;
    this.#socket = socket;
  }

  static async open(directory: string, target: Target): Promise<EchoSeries> {
    const log = new ProbeLog(join(directory, `echo-${target.name}.log`));
    const socket = await open(target.address, (message) => {
      const now = nanoseconds();
      const [word, number] = message.toString('latin1').split(' ');
      if (word === 'probe') log.write(`got ${now} ${number}`);
    });
    return new EchoSeries(log, target, socket);
  }

  send(count: number): void {
    if (count >= LATE) this.#log.write(`late ${nanoseconds()} ${count}`);
    for (let n = 0; n < count; n += 1) {
      this.#sent += 1;
      const message = `probe ${this.#sent} `.padEnd(echoBytes, '.');
      this.#log.write(`sent ${nanoseconds()} ${this.#sent}`);
      this.#socket.send(message, ECHO_PORT, this.#target.address, () => {});
    }
  }

  close(): Promise<void> {
    this.#socket.close();
    return this.#log.close();
  }
}

class Streams {
  readonly #log: ProbeLog;
  readonly #target: Target;
  readonly #sockets: Socket[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  #on = false;
  #missing = 0;
  #lastAt = performance.now();

  constructor(directory: string, target: Target) {
    this.#log = new ProbeLog(join(directory, `stream-${target.name}.log`));
    this.#target = target;
  }

  async set(on: boolean): Promise<void> {
    const begins = on && !this.#on;
    this.#on = on;
    if (begins) await this.#order();
  }

  /** Resolves when all that was ordered has come, or no more will. */
  async ended(): Promise<void> {
    while (this.#missing > 0 && performance.now() - this.#lastAt < QUIET_MS) await sleep(50);
  }

  async #order(): Promise<void> {
    const chunk = this.#sockets.length + 1;
    let answered = false;
    let continued = false;
    const came = new Set<string | undefined>();
    const socket = await open(this.#target.address, (message) => {
      const now = nanoseconds();
      const [word, , number, guestTime] = message.toString('latin1').split(/[ \n]/);
      answered = true;
      if (word !== 'stream') return;
      if (!came.has(number)) this.#missing -= 1;
      came.add(number);
      this.#lastAt = performance.now();
      this.#log.write(`got ${now} ${chunk} ${number} ${guestTime}`);
      if (continued || !this.#on || Number(number) < CHUNK - OVERLAP) return;
      continued = true;
      this.#start();
    });
    this.#sockets.push(socket);
    this.#missing += CHUNK;
    this.#lastAt = performance.now();
    this.#log.write(`order ${nanoseconds()} ${chunk} ${CHUNK}`);
    const ask = (): void => {
      if (answered) return;
      socket.send(
        `stream-to ${CHUNK} ${STREAM_SPACING_US}`,
        CONTROL_PORT,
        this.#target.address,
        () => {},
      );
      const timer = setTimeout(ask, ORDER_AGAIN_MS);
      this.#timers.add(timer);
    };
    ask();
  }

  #start(): void {
    this.#order().catch((error) => {
      process.stderr.write(`stream of ${this.#target.name}: ${error}\n`);
      process.exit(1);
    });
  }

  close(): Promise<void> {
    this.#on = false;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.close();
    return this.#log.close();
  }
}

const { directory, targets, echoBytes } = probeOptions.parse(JSON.parse(process.argv[2] ?? ''));
const series = await Promise.all(targets.map((each) => EchoSeries.open(directory, each)));
const streams = targets.map((each) => new Streams(directory, each));

let spacingMs = 0;
let due = 0;
/** The series whose turn it is. */
let turn = 0;
let ticking: NodeJS.Timeout | undefined;

function tick(): void {
  const now = performance.now();
  const count = Math.floor((now - due) / spacingMs) + 1;
  if (count <= 0) return;
  due += count * spacingMs;
  for (const [index, each] of series.entries()) each.send(turns(count, index));
  turn = (turn + count) % series.length;
}

/** How many of the next `count` echoes are for the series `index`. */
function turns(count: number, index: number): number {
  const first = (index - turn + series.length) % series.length;
  return first >= count ? 0 : Math.floor((count - 1 - first) / series.length) + 1;
}

/** Says `streams ended` when they have. */
async function setStreams(on: boolean): Promise<void> {
  await Promise.all(streams.map((each) => each.set(on)));
  if (on) return;
  await Promise.all(streams.map((each) => each.ended()));
  process.stdout.write('streams ended\n');
}

obey(
  (json) => {
    const command = datagramCommand.parse(json);
    if (command.command === 'streams') {
      setStreams(command.on).catch((error) => {
        process.stderr.write(`streams: ${error}\n`);
        process.exit(1);
      });
      return;
    }
    clearInterval(ticking);
    spacingMs = command.ms;
    due = performance.now();
    if (spacingMs > 0) ticking = setInterval(tick, Math.max(1, Math.floor(spacingMs)));
  },
  async () => {
    clearInterval(ticking);
    await Promise.all([...series, ...streams].map((each) => each.close()));
  },
);
process.stdout.write('ready\n');
