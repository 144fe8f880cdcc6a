import { isIPv4, isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import type { AgentOptions } from '../../agent/options.ts';
import { stateDirectory } from '../../api/index.ts';
import { usageError } from '../output.ts';
import { parseCount, parseMemory, parseSize } from '../units.ts';

/** Where a site listens when nothing else is said. */
const DEFAULT_LISTEN = '0.0.0.0:7420';
/** How long a person is asked, s; the place that asks waits for a minute. */
const MAX_ANSWER_S = 45;

export interface AgentFlags {
  readonly profile: 'device' | 'site';
  readonly state?: string;
  readonly name?: string;
  readonly listen?: string;
  readonly tunnelPort?: string;
  readonly hoa4?: string;
  readonly hoa6?: string;
  readonly tap?: string;
  readonly tapToward?: 'host' | 'gateway';
  readonly advertise?: string;
  readonly dns?: string;
  readonly peerGuests?: string;
  readonly peerMemory?: string;
  readonly peerDisk?: string;
  readonly answerWithin?: string;
  readonly logLevel: AgentOptions['logLevel'];
  readonly accelerator?: AgentOptions['accelerator'];
  readonly linkTrace?: string;
  readonly linkTraceSpeed?: string;
  readonly linkTraceHeld?: boolean;
}

/** Runs until it is told to stop. */
export async function agent(flags: AgentFlags): Promise<void> {
  const options = agentOptions(flags, process.env);
  const { runAgent } = await import('../../agent/index.ts');
  await runAgent(options);
}

/** Checks what was typed. Throws `usage` errors. */
export function agentOptions(flags: AgentFlags, env: NodeJS.ProcessEnv): AgentOptions {
  const site = flags.profile === 'site';
  const siteOnly = [
    'listen',
    'tunnelPort',
    'hoa4',
    'hoa6',
    'tap',
    'tapToward',
    'advertise',
  ] as const;
  const misplaced = site ? undefined : siteOnly.find((name) => flags[name] !== undefined);
  if (misplaced !== undefined) {
    const flag = `--${misplaced.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    throw usageError(
      'option-for-sites',
      `${flag} is for sites: a device dials out, and listens only for devices that it is paired with`,
      `Leave ${flag} out or use --profile site`,
    );
  }
  checkTap(flags);
  const listen = site ? parseListen(flags.listen ?? DEFAULT_LISTEN) : undefined;
  return {
    profile: flags.profile,
    stateDirectory: stateDirectory(flags.state, env),
    name: flags.name ?? hostname(),
    listen,
    tunnelPort: listen && parsePort(flags.tunnelPort ?? String(listen.port + 1), '--tunnel-port'),
    hoa4: flags.hoa4 === undefined ? undefined : checkCidr(flags.hoa4, '--hoa4', isIPv4, 8, 28),
    hoa6: flags.hoa6 === undefined ? undefined : checkCidr(flags.hoa6, '--hoa6', isIPv6, 48, 56),
    tap: flags.tap,
    tapToward: flags.tapToward ?? 'host',
    advertise: splitList(flags.advertise),
    dns: splitList(flags.dns).map(checkAddress),
    perPeer: {
      guests: flags.peerGuests === undefined ? undefined : parseCount(flags.peerGuests),
      memoryMiB: flags.peerMemory === undefined ? undefined : parseMemory(flags.peerMemory),
      diskBytes: flags.peerDisk === undefined ? undefined : parseSize(flags.peerDisk),
    },
    answerMs: parseAnswerTime(flags.answerWithin ?? String(MAX_ANSWER_S)),
    logLevel: flags.logLevel,
    accelerator: flags.accelerator,
    linkTrace:
      flags.linkTrace === undefined
        ? undefined
        : {
            path: flags.linkTrace,
            speed: parseSpeed(flags.linkTraceSpeed ?? '1'),
            held: flags.linkTraceHeld ?? false,
          },
  };
}

function checkTap({ tap, tapToward, hoa4, hoa6 }: AgentFlags): void {
  if (tap === undefined && tapToward !== undefined)
    throw usageError('tap-missing', '--tap-toward says what a TAP leads to', 'Name it with --tap');
  if (tap !== undefined && tapToward !== 'gateway' && (hoa4 === undefined || hoa6 === undefined))
    throw usageError(
      'tap-without-prefixes',
      `The host's network leads home addresses to ${tap}, and there are none`,
      'Give --hoa4 and --hoa6, or --tap-toward gateway',
    );
}

function parseAnswerTime(text: string): number {
  const seconds = Number(text);
  if (/^\d{1,2}$/.test(text) && seconds >= 1 && seconds <= MAX_ANSWER_S) return seconds * 1000;
  throw usageError(
    'answer-time-malformed',
    `${JSON.stringify(text)} for --answer-within is not a time to answer in`,
    `Give seconds from 1 to ${MAX_ANSWER_S}`,
  );
}

function parseSpeed(text: string): number {
  const speed = Number(text);
  if (Number.isFinite(speed) && speed >= 0.01 && speed <= 1000) return speed;
  throw usageError(
    'speed-malformed',
    `${JSON.stringify(text)} for --link-trace-speed is not a speed`,
    'Give a number like 2, which is twice as fast',
  );
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || match?.[3] === undefined) {
    throw usageError(
      'listen-malformed',
      `${JSON.stringify(text)} is not HOST:PORT`,
      'Write it like 0.0.0.0:7420 or [::]:7420',
    );
  }
  return { host, port: parsePort(match[3], '--listen') };
}

function parsePort(text: string, flag: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw usageError(
    'port-malformed',
    `${JSON.stringify(text)} for ${flag} is not a port`,
    'Give a number from 1 to 65535',
  );
}

function checkCidr(
  text: string,
  flag: string,
  isAddress: (text: string) => boolean,
  shortest: number,
  longest: number,
): string {
  const [address = '', length = '', ...rest] = text.split('/');
  const bits = Number(length);
  const good = rest.length === 0 && isAddress(address) && /^\d+$/.test(length);
  if (good && bits >= shortest && bits <= longest) return text;
  throw usageError(
    'prefix-malformed',
    `${JSON.stringify(text)} for ${flag} is not a prefix of length ${shortest} to ${longest}`,
    `Write it like ${isAddress === isIPv4 ? '192.0.2.0/24' : '2001:db8:77::/48'}`,
  );
}

function checkAddress(text: string): string {
  if (isIPv4(text) || isIPv6(text)) return text;
  throw usageError(
    'address-malformed',
    `${JSON.stringify(text)} for --dns is not an IP address`,
    'Give addresses of name servers, separated by commas',
  );
}

function splitList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
