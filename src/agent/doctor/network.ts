/** What only a site with a TAP needs. */
import { open, readFile } from 'node:fs/promises';
import { type Check, ok, warn } from './check.ts';
import { output } from './machine.ts';

/** Bit of CAP_NET_ADMIN (capabilities(7)). */
const CAP_NET_ADMIN = 12n;
const FOR_SITES = 'a site with --tap needs it';

export type Profile = 'device' | 'site' | undefined;

export function judgeTun(errorCode: string | undefined, profile: Profile): Check {
  if (errorCode === undefined) return ok('tun', '/dev/net/tun opens');
  const text = `/dev/net/tun ${errorCode === 'ENOENT' ? 'is missing' : `does not open (${errorCode})`}`;
  if (profile === 'device') return ok('tun', `${text}, which only a site needs`);
  const remedy =
    errorCode === 'ENOENT'
      ? 'Load the module with "modprobe tun"'
      : 'Run the agent as root or give its user access to /dev/net/tun';
  return warn('tun', `${text}; ${FOR_SITES}`, remedy);
}

export async function checkTun(profile: Profile): Promise<Check> {
  try {
    const device = await open('/dev/net/tun', 'r+');
    await device.close();
    return judgeTun(undefined, profile);
  } catch (error) {
    return judgeTun((error as NodeJS.ErrnoException).code ?? 'unknown error', profile);
  }
}

export interface IpReading {
  /** What `ip -V` says; undefined when it is missing. */
  readonly version: string | undefined;
  readonly netAdmin: boolean;
}

export function judgeIp({ version, netAdmin }: IpReading, profile: Profile): Check {
  if (version !== undefined && netAdmin) return ok('ip', `${version}, with CAP_NET_ADMIN`);
  const lack =
    version === undefined
      ? 'the ip command is missing'
      : 'this user may not configure the network (no CAP_NET_ADMIN)';
  if (profile === 'device') return ok('ip', `${lack}, which only a site needs`);
  const remedy =
    version === undefined ? 'Install iproute2' : 'Run the agent as root, or with CAP_NET_ADMIN';
  return warn('ip', `${lack}; ${FOR_SITES}`, remedy);
}

export async function checkIp(profile: Profile): Promise<Check> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return judgeIp(
    { version: await output('ip', ['-V']), netAdmin: ((effective >> CAP_NET_ADMIN) & 1n) === 1n },
    profile,
  );
}
