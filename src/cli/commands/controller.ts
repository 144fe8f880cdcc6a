import { pino } from 'pino';
import { asSojournError } from '../../common/index.ts';
import type { ControllerEvent } from '../../mobility/controller/index.ts';
import { parseListen } from '../../switch/agent/index.ts';
import { usageError } from '../output.ts';
import { readTls, type TlsFlags } from '../tls-files.ts';

export interface ControllerFlags extends TlsFlags {
  readonly listen: readonly string[];
  readonly gateways: string;
  readonly mappings: string;
  readonly lazy?: boolean;
  readonly logLevel: string;
}

/** Runs until it is told to stop; SIGHUP reads the files again. */
export async function runController(flags: ControllerFlags): Promise<void> {
  const log = pino({ name: 'controller', level: flags.logLevel });
  const targets = flags.listen.map(parseListen);
  const tls = await readTls(flags);
  if (tls === undefined && targets.some(({ type }) => type === 'pssl'))
    throw usageError(
      'openflow-tls',
      'TLS needs a private key, a certificate and the certificate of the authority',
      'Give --private-key, --certificate and --ca-cert, or use ptcp',
    );
  const { Controller, readMappings, readNetwork } = await import(
    '../../mobility/controller/index.ts'
  );
  const read = () => Promise.all([readNetwork(flags.gateways), readMappings(flags.mappings)]);
  const { GatewayPackets } = await import('../../gateway/index.ts');
  const [network, mappings] = await read();
  let { homePrefixes } = network;
  const services = new GatewayPackets({
    homePrefixes: () => homePrefixes,
    mappings: () => controller.mappings(),
    now: () => performance.now(),
  });
  const controller: InstanceType<typeof Controller> = new Controller({
    network,
    mappings,
    services,
    way: flags.lazy ? 'lazy' : 'push',
    ...(tls !== undefined && { tls }),
    onEvent: (event) => logEvent(log, event),
  });
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  // One after the other, so that the last to be read is the last to be used.
  let reading = Promise.resolve();
  process.on('SIGHUP', () => {
    reading = reading
      .then(async () => {
        const files = await read();
        const before = homePrefixes;
        homePrefixes = files[0].homePrefixes;
        await controller.replace(...files).catch((error: unknown) => {
          homePrefixes = before;
          throw error;
        });
        log.info({ gateways: files[0].gateways.length, mappings: files[1].length }, 'read again');
      })
      .catch((error: unknown) => {
        const { code, line } = asSojournError(error);
        log.error({ code }, `${line}; everything stays as it was`);
      });
  });
  for (const target of targets) await controller.listen(target);
  log.info({ gateways: network.gateways.length, mappings: mappings.length }, 'ready');
  await stopped;
  await controller.close();
}

function logEvent(log: pino.Logger, event: ControllerEvent): void {
  const { type, ...fields } = event;
  if (event.type === 'lost' || event.type === 'failed') {
    const { reason, ...rest } = event;
    log[type === 'lost' ? 'info' : 'warn']({ ...rest, code: reason.code }, reason.line);
  } else if (event.type === 'complaint') log.warn(fields, type);
  else log.info(fields, type);
}
