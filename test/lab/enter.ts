/**
 * The right to make network namespaces. Root has it; anybody else gets it in a user namespace of their
 * own (user_namespaces(7)), in which this program starts itself again.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { SojournError } from '../../src/common/index.ts';

const INSIDE = 'SOJOURN_LAB_INSIDE';

/** Whether this process may make network namespaces and TAP devices in them as it is. */
export function mayMakeNamespaces(): boolean {
  return spawnSync('unshare', ['--net', 'true'], { stdio: 'ignore' }).status === 0;
}

/**
 * Returns in a process that may make namespaces. Where the present one may not, it starts the same
 * program inside a user namespace, passes signals on, and exits with that program's code: then it does
 * not return. Throws SojournError (`requirement`) where neither works.
 */
export async function enterLab(): Promise<void> {
  requireTunDevice();
  if (process.env[INSIDE] === '1' || mayMakeNamespaces()) return;
  const userNamespace = ['--user', '--map-root-user'];
  if (spawnSync('unshare', [...userNamespace, '--net', 'true'], { stdio: 'ignore' }).status !== 0)
    throw new SojournError({
      kind: 'requirement',
      code: 'namespaces-forbidden',
      message: 'This user may make neither network namespaces nor a user namespace to make them in',
      remedy:
        'Run it as root, or allow user namespaces (Debian: sysctl kernel.unprivileged_userns_clone=1; ' +
        'Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0)',
    });
  const program = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  // The program inside is told when this one dies, however that happens.
  const tied = ['setpriv', '--pdeathsig', 'TERM', ...program];
  const child = spawn('unshare', [...userNamespace, '--', ...tied], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => child.kill(signal));
  await new Promise<never>((_, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => process.exit(code ?? 1));
  });
}

function requireTunDevice(): void {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch (cause) {
    throw new SojournError({
      kind: 'requirement',
      code: 'tun-unavailable',
      message: '/dev/net/tun cannot be opened, so no TAP device can be made',
      remedy: 'Load the tun module (modprobe tun), or run it as a user who may open /dev/net/tun',
      cause,
    });
  }
}
