/** The services of a Linux desktop that know what its user's machine goes through. Each may be missing. */

import { Bus, type Target } from './bus.ts';
import type { Conditions } from './conditions.ts';

/** logind's `InhibitDelayMaxSec` unless it says otherwise (logind.conf(5)), ms. */
const INHIBIT_DELAY_MS = 5_000;
/** NMMetered: yes, and guessed yes (NetworkManager D-Bus API). */
const METERED = new Set<unknown>([1, 3]);

const login: Target = {
  name: 'org.freedesktop.login1',
  path: '/org/freedesktop/login1',
  interface: 'org.freedesktop.login1.Manager',
};
const power: Target = {
  name: 'org.freedesktop.UPower',
  path: '/org/freedesktop/UPower',
  interface: 'org.freedesktop.UPower',
};
const network: Target = {
  name: 'org.freedesktop.NetworkManager',
  path: '/org/freedesktop/NetworkManager',
  interface: 'org.freedesktop.NetworkManager',
};

type Take = (conditions: Conditions) => void;

/** Tells what holds now, and every change until the bus is disconnected. Undefined without a system bus. */
export async function followServices(take: Take): Promise<Bus | undefined> {
  const bus = await Bus.connect('system');
  if (bus === undefined) return undefined;
  await Promise.all([followLogin(bus, take), followPower(bus, take), followNetwork(bus, take)]);
  return bus;
}

async function followLogin(bus: Bus, take: Take): Promise<void> {
  const delay = await bus.property(login, 'InhibitDelayMaxUSec');
  const delayMs = typeof delay === 'bigint' ? Number(delay / 1000n) : INHIBIT_DELAY_MS;
  await bus.onSignal(login, 'PrepareForSleep', ([begins]) =>
    take({ suspendInMs: begins === true ? delayMs : null }),
  );
  await bus.onSignal(login, 'PrepareForShutdown', ([begins]) =>
    take({ shutdownInMs: begins === true ? delayMs : null }),
  );
  const path = await sessionPath(bus);
  if (path === undefined) return;
  const session = { ...login, path, interface: 'org.freedesktop.login1.Session' };
  await bus.onSignal(session, 'Lock', () => take({ locked: true }));
  await bus.onSignal(session, 'Unlock', () => take({ locked: false }));
}

async function sessionPath(bus: Bus): Promise<string | undefined> {
  try {
    const [path] = await bus.call(login, 'GetSessionByPID', 'u', [process.pid]);
    return typeof path === 'string' ? path : undefined;
  } catch {
    // Not started from a session of logind.
    return undefined;
  }
}

async function followPower(bus: Bus, take: Take): Promise<void> {
  const tell = (values: ReadonlyMap<string, unknown>) => {
    const onBattery = values.get('OnBattery');
    const closed = values.get('LidIsClosed');
    take({
      ...(typeof onBattery === 'boolean' ? { onBattery } : {}),
      ...(typeof closed === 'boolean' ? { lid: closed ? 'closed' : 'open' } : {}),
    });
  };
  await bus.onProperties(power, tell);
  const names = ['OnBattery', 'LidIsClosed'];
  tell(
    new Map(await Promise.all(names.map(async (n) => [n, await bus.property(power, n)] as const))),
  );
}

async function followNetwork(bus: Bus, take: Take): Promise<void> {
  const tell = (metered: unknown) => {
    if (typeof metered === 'number') take({ metered: METERED.has(metered) });
  };
  await bus.onProperties(network, (changed) => tell(changed.get('Metered')));
  tell(await bus.property(network, 'Metered'));
}
