/** What a site's host needs so that guests are reached through its TAP: the interface, and unless a gateway has it routes and forwarding. */
import { readFile, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { errorText } from '../common/index.ts';
import { GUEST_MTU, TAP_HOST_MAC } from '../switch/services/index.ts';
import type { Problem } from './control.ts';

const COMMAND_TIMEOUT_MS = 5_000;
/** Of Ethernet; larger than that of guests, so that they answer for what is too big, and nobody drops it in silence. */
const GATEWAY_MTU = 1500;
/** Packets the kernel keeps while the adapter does not get to run; its default of 1000 is 200 ms of small ones. */
const TAP_QUEUE_PACKETS = 10_000;

export interface TapSettings {
  readonly name: string;
  readonly toward: 'host' | 'gateway';
  readonly prefixes4: readonly string[];
  readonly prefixes6: readonly string[];
}

/** Makes it so, as far as is permitted. @returns what could not be done; empty when all is well. */
export async function prepareHost(
  tap: TapSettings,
): Promise<{ created: boolean; problems: Problem[] }> {
  const problems: Problem[] = [];
  const { name } = tap;
  const exists = await interfaceExists(name);
  let created = false;
  if (!exists) {
    const made = await ip(['tuntap', 'add', 'dev', name, 'mode', 'tap']);
    if (made !== undefined) {
      problems.push({
        code: 'tap-create',
        message: `The interface ${name} cannot be created: ${made}`,
        remedy: `Run the site as root, or create it once with "ip tuntap add dev ${name} mode tap user USER"`,
      });
      return { created, problems };
    }
    created = true;
  }
  const set = await setUp(tap);
  if (tap.toward === 'host') {
    const routed = await routeHomes(tap);
    set.push(...routed.failures);
    problems.push(...routed.problems);
  }
  for (const failure of set) {
    problems.push({
      code: 'tap-configure',
      message: `The interface ${name} cannot be set up: ${failure}`,
      remedy: 'Run the site as root, or give it the capability CAP_NET_ADMIN',
    });
  }
  return { created, problems };
}

/** @returns what failed. */
async function setUp({ name, toward }: TapSettings): Promise<string[]> {
  // Router advertisements on it would come from nobody, and waiting for duplicates of its address takes a second.
  for (const key of ['accept_ra', 'autoconf', 'accept_dad'])
    await setSysctl(`net/ipv6/conf/${name}/${key}`, '0');
  // The host itself says nothing to a gateway.
  if (toward === 'gateway') await setSysctl(`net/ipv6/conf/${name}/disable_ipv6`, '1');
  const link = ['link', 'set', 'dev', name];
  const settings =
    toward === 'host'
      ? ['address', TAP_HOST_MAC, 'mtu', String(GUEST_MTU)]
      : ['mtu', String(GATEWAY_MTU)];
  return failures(
    await ip([...link, ...settings, 'txqueuelen', String(TAP_QUEUE_PACKETS)]),
    await ip([...link, 'up']),
  );
}

/** The host's own network leads home addresses to the TAP. */
async function routeHomes({
  name,
  prefixes4,
  prefixes6,
}: TapSettings): Promise<{ failures: string[]; problems: Problem[] }> {
  const problems: Problem[] = [];
  const set: (string | undefined)[] = [];
  for (const [family, prefixes] of [
    ['-4', prefixes4],
    ['-6', prefixes6],
  ] as const)
    for (const cidr of prefixes) {
      const taken = await overlap(family, cidr, name);
      if (taken === undefined) set.push(await ip([family, 'route', 'replace', cidr, 'dev', name]));
      else problems.push(taken);
    }
  if (prefixes4.length > 0) problems.push(...(await forwarding('net/ipv4/ip_forward', 'IPv4')));
  if (prefixes6.length > 0)
    problems.push(...(await forwarding('net/ipv6/conf/all/forwarding', 'IPv6')));
  return { failures: failures(...set), problems };
}

function failures(...results: (string | undefined)[]): string[] {
  return results.filter((result) => result !== undefined);
}

/** @returns why it could not be removed. */
export async function removeInterface(name: string): Promise<string | undefined> {
  return (await interfaceExists(name)) ? await ip(['link', 'delete', 'dev', name]) : undefined;
}

async function interfaceExists(name: string): Promise<boolean> {
  return (await ip(['link', 'show', 'dev', name])) === undefined;
}

async function forwarding(key: string, family: string): Promise<Problem[]> {
  const path = `/proc/sys/${key}`;
  try {
    if ((await readFile(path, 'utf8')).trim() === '1') return [];
  } catch {
    // The write below tells why.
  }
  const failure = await setSysctl(key, '1');
  if (failure === undefined) return [];
  const name = key.replaceAll('/', '.');
  return [
    {
      code: 'forwarding-off',
      message: `${family} forwarding is off and cannot be switched on (${failure}), so guests reach only this host`,
      remedy: `Run "sysctl -w ${name}=1" as root`,
    },
  ];
}

const routes = z.array(z.looseObject({ dst: z.string(), dev: z.string().optional() }));

/** A prefix that this host already reaches elsewhere is left alone: taking it could cut the host off. */
async function overlap(
  family: '-4' | '-6',
  cidr: string,
  name: string,
): Promise<Problem | undefined> {
  const { stdout } = await execa('ip', ['-j', family, 'route', 'show'], {
    timeout: COMMAND_TIMEOUT_MS,
    stdin: 'ignore',
  });
  const wanted = ipaddr.parseCIDR(cidr);
  const other = routes.parse(JSON.parse(stdout === '' ? '[]' : stdout)).find(({ dst, dev }) => {
    if (dst === 'default' || dev === name) return false;
    const single = family === '-4' ? '/32' : '/128';
    const there = ipaddr.parseCIDR(dst.includes('/') ? dst : `${dst}${single}`);
    const shorter = Math.min(wanted[1], there[1]);
    return wanted[0].match(there[0], shorter);
  });
  if (other === undefined) return undefined;
  return {
    code: 'home-prefix-in-use',
    message: `This host reaches ${other.dst} through ${other.dev ?? 'another route'}, so ${cidr} cannot be used for home addresses`,
    remedy: 'Choose prefixes of home addresses that are in use nowhere else',
  };
}

async function setSysctl(key: string, value: string): Promise<string | undefined> {
  try {
    await writeFile(`/proc/sys/${key}`, value);
    return undefined;
  } catch (error) {
    return errorText(error);
  }
}

/** @returns the reason of a failure, undefined after success. */
async function ip(args: string[]): Promise<string | undefined> {
  const { failed, stderr, shortMessage } = await execa('ip', args, {
    reject: false,
    timeout: COMMAND_TIMEOUT_MS,
    stdin: 'ignore',
  });
  if (!failed) return undefined;
  return (stderr || (shortMessage ?? 'ip failed')).replace(/\s+/g, ' ').trim();
}
