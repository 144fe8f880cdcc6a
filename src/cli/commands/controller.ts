import { pino } from 'pino';
import { asSojournError } from '../../common/index.ts';
import type { ControllerEvent, Network } from '../../mobility/controller/index.ts';
import { parseListen } from '../../switch/agent/index.ts';
import { AgentMappings } from '../agent-mappings.ts';
import { fileMappings, type MappingSource } from '../mapping-source.ts';
import { usageError } from '../output.ts';
import { readTls, type TlsFlags } from '../tls-files.ts';

export interface ControllerFlags extends TlsFlags {
  readonly listen: readonly string[];
  readonly gateways: string;
  readonly mappings?: string;
  readonly agent?: string;
  readonly lazy?: boolean;
  readonly logLevel: string;
}

/** Runs until it is told to stop; SIGHUP reads the files again, an agent says by itself what has changed. */
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
  const { Controller, readNetwork } = await import('../../mobility/controller/index.ts');
  const { GatewayPackets } = await import('../../gateway/index.ts');
  let network = await readNetwork(flags.gateways);
  const source = await openSource(flags, log);
  const mappings = await source.read(network);
  const services = new GatewayPackets({
    homePrefixes: () => network.homePrefixes,
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
  const use = async (next: Network) => {
    const mappings = await source.read(next);
    const before = network;
    network = next;
    await controller.replace(next, mappings).catch((error: unknown) => {
      network = before;
      throw error;
    });
    return mappings.length;
  };
  const failed = (error: unknown) => {
    const { code, line } = asSojournError(error);
    log.error({ code }, `${line}; everything stays as it was`);
  };
  // Not in turn with other changes: of one guest the newest counts, and a gateway that does not answer keeps no other waiting.
  source.follow(() => void use(network).catch(failed));
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  // One after the other, so that the last to be read is the last to be used.
  let reading = Promise.resolve();
  process.on('SIGHUP', () => {
    reading = reading
      .then(async () => {
        const read = await readNetwork(flags.gateways);
        const mappings = await use(read);
        log.info({ gateways: read.gateways.length, mappings }, 'read again');
      })
      .catch(failed);
  });
  for (const target of targets) await controller.listen(target);
  log.info({ gateways: network.gateways.length, mappings: mappings.length }, 'ready');
  await stopped;
  source.close();
  await controller.close();
}

async function openSource(
  { mappings, agent }: ControllerFlags,
  log: pino.Logger,
): Promise<MappingSource> {
  if (mappings !== undefined && agent === undefined) return fileMappings(mappings);
  if (agent === undefined || mappings !== undefined)
    throw usageError(
      'controller-source',
      'A controller has its mappings either from a file or from an agent',
      'Give --mappings with a file, or --agent with the socket of an agent',
    );
  return AgentMappings.connect({
    socket: agent,
    lost: ({ code, line }) => log.warn({ code }, line),
    back: () => log.info({ agent }, 'agent is back'),
    remark: ({ code, leftOut, text }) => log[leftOut ? 'warn' : 'info']({ code }, text),
  });
}

function logEvent(log: pino.Logger, event: ControllerEvent): void {
  const { type, ...fields } = event;
  if (event.type === 'lost' || event.type === 'failed') {
    const { reason, ...rest } = event;
    log[type === 'lost' ? 'info' : 'warn']({ ...rest, code: reason.code }, reason.line);
  } else if (event.type === 'complaint') log.warn(fields, type);
  else log.info(fields, type);
}
