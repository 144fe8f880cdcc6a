import { pino } from 'pino';
import type { LonePort, LoneSwitchOptions } from '../../datapath/index.ts';
import { type EndpointEvent, parseController, parseListen } from '../../switch/agent/index.ts';
import { usageError } from '../output.ts';
import { readTls, type TlsFlags } from '../tls-files.ts';

export interface SwitchFlags extends TlsFlags {
  readonly datapathId: string;
  readonly controller?: readonly string[];
  readonly listen?: readonly string[];
  readonly port?: readonly string[];
  readonly failMode: 'secure' | 'standalone';
  readonly logLevel: string;
}

/** `OFPP_MAX`: numbers above are reserved. */
const MAX_PORT = 0xffffff00;
/** Linux's IFNAMSIZ, with the NUL. */
const INTERFACE_NAME = /^[^\s/:,]{1,15}$/;

/** Runs until it is told to stop. */
export async function runSwitch(flags: SwitchFlags): Promise<void> {
  const log = pino({ name: 'switch', level: flags.logLevel });
  const options = switchOptions(flags);
  const { LoneSwitch } = await import('../../datapath/index.ts');
  const tls = await readTls(flags);
  const lone = new LoneSwitch({
    ...options,
    ...(tls !== undefined && { tls }),
    onEvent: (event) => logEvent(log, event),
    onProblem: (error) => log.warn({ code: error.code }, error.line),
  });
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  await lone.start();
  log.info({ datapathId: flags.datapathId, ports: options.ports.length }, 'ready');
  // Timers and sockets that wait for a controller do not keep the process.
  const alive = setInterval(() => {}, 2 ** 30);
  await stopped;
  clearInterval(alive);
  await lone.close();
}

/** Checks what was typed. Throws `usage` errors. */
export function switchOptions(
  flags: SwitchFlags,
): Pick<
  LoneSwitchOptions,
  'datapathId' | 'controllers' | 'listen' | 'ports' | 'failMode' | 'qemu'
> {
  const ports = (flags.port ?? []).map(parsePort);
  const twice = ports.find(({ number }, i) => ports.findIndex((p) => p.number === number) < i);
  if (twice !== undefined)
    throw usageError(
      'port-twice',
      `Port ${twice.number} is given twice`,
      'Number ports differently',
    );
  return {
    datapathId: parseDatapathId(flags.datapathId),
    controllers: (flags.controller ?? []).map(parseController),
    listen: (flags.listen ?? []).map(parseListen),
    ports,
    failMode: flags.failMode,
    qemu: 'qemu-system-x86_64',
  };
}

/** Decimal, hexadecimal after 0x, or the sixteen digits that Open vSwitch prints. */
function parseDatapathId(text: string): bigint {
  const digits = /^[0-9a-f]{16}$/i.test(text) ? `0x${text}` : text;
  const id = /^(0x[0-9a-f]+|\d+)$/i.test(digits) ? BigInt(digits) : -1n;
  if (id > 0n && id < 1n << 64n) return id;
  throw usageError(
    'datapath-id',
    `${JSON.stringify(text)} is no datapath id`,
    'Give a number of at most 64 bits that is not zero, such as 1 or 0xabc',
  );
}

function parsePort(text: string): LonePort {
  const match = /^(\d+)=(stream|tap|natpt):(.+)$/.exec(text);
  const number = Number(match?.[1]);
  const where = match?.[3];
  const valid = match !== null && number >= 1 && number <= MAX_PORT;
  const type = match?.[2];
  if (valid && (type === 'stream' || type === 'natpt'))
    return { number, type, path: where as string };
  if (valid && INTERFACE_NAME.test(where as string))
    return { number, type: 'tap', name: where as string };
  throw usageError(
    'switch-port',
    `${JSON.stringify(text)} is no port`,
    'Write it like 1=stream:/run/guest.sock, 2=tap:tap0 or 3=natpt:addresses.json, with a number from 1 on',
  );
}

function logEvent(log: pino.Logger, event: EndpointEvent): void {
  const { type, ...fields } = event;
  if (event.type === 'unreachable' || event.type === 'lost') {
    const { reason, ...rest } = event;
    log.info({ ...rest, code: reason.code }, reason.line);
  } else log.info(fields, type);
}
