import { readFile } from 'node:fs/promises';
import { pino } from 'pino';
import { z } from 'zod';
import { errorText } from '../../common/index.ts';
import type { BridgeSettings, GatewayEvent } from '../../gateway/index.ts';
import { usageError } from '../output.ts';

export interface GatewayFlags {
  readonly settings: string;
  readonly database?: string;
  readonly remove?: boolean;
  readonly logLevel: string;
}

/** Sets a bridge of Open vSwitch up and keeps it so until it is told to stop; the bridge then goes on. */
export async function runGateway(flags: GatewayFlags): Promise<void> {
  const log = pino({ name: 'gateway', level: flags.logLevel });
  const { OpenVSwitchGateway } = await import('../../gateway/index.ts');
  const settings = await readSettings(flags.settings);
  const gateway = new OpenVSwitchGateway({
    settings,
    ...(flags.database !== undefined && { database: flags.database }),
    onEvent: (event) => logEvent(log, event),
  });
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  if (flags.remove) {
    await gateway.remove();
    log.info({ bridge: settings.name }, 'removed');
    return;
  }
  await gateway.start();
  log.info({ bridge: settings.name, ports: settings.ports.length }, 'ready');
  // Timers that wait for Open vSwitch do not keep the process.
  const alive = setInterval(() => {}, 2 ** 30);
  await stopped;
  clearInterval(alive);
  gateway.close();
}

async function readSettings(path: string): Promise<BridgeSettings> {
  const { bridgeSettings } = await import('../../gateway/index.ts');
  let why: string;
  try {
    const read = bridgeSettings.safeParse(JSON.parse(await readFile(path, 'utf8')));
    if (read.success) return read.data;
    why = z.prettifyError(read.error).replace(/\s+/g, ' ');
  } catch (error) {
    why = errorText(error);
  }
  throw usageError(
    'gateway-settings',
    `The settings of the gateway in ${path} cannot be used: ${why}`,
    'Write name, datapathId, datapathType, controllers and ports as the README shows',
  );
}

function logEvent(log: pino.Logger, event: GatewayEvent): void {
  if (event.type === 'problem') log.warn({ code: event.error.code }, event.error.line);
  else log.info({ changed: event.changed }, event.type);
}
