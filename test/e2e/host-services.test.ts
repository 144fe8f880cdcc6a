/** What a Linux desktop's services tell, over a real message bus; the services themselves are doubles. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Message, type MessageBus, sessionBus, Variant } from '@jellybrick/dbus-next';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Bus } from '../../electron/system/bus.ts';
import type { Conditions } from '../../electron/system/conditions.ts';
import { followServices } from '../../electron/system/services.ts';
import { until } from './tray-host.ts';

/** Services by their interfaces: where they are, and what their properties are, as D-Bus types. */
const LOGIN = 'org.freedesktop.login1.Manager';
const SESSION = 'org.freedesktop.login1.Session';
const POWER = 'org.freedesktop.UPower';
const NETWORK = 'org.freedesktop.NetworkManager';
const SESSION_PATH = '/org/freedesktop/login1/session/one';
const paths: Readonly<Record<string, string>> = {
  [LOGIN]: '/org/freedesktop/login1',
  [SESSION]: SESSION_PATH,
  [POWER]: '/org/freedesktop/UPower',
  [NETWORK]: '/org/freedesktop/NetworkManager',
};
const properties: Readonly<Record<string, Readonly<Record<string, Variant>>>> = {
  [LOGIN]: { InhibitDelayMaxUSec: new Variant('t', 5_000_000n) },
  [POWER]: { OnBattery: new Variant('b', false), LidIsClosed: new Variant('b', false) },
  [NETWORK]: { Metered: new Variant('u', 4) },
};

function answer(message: Message): boolean {
  const [about, name] = message.body as [string, string];
  if (message.member === 'GetSessionByPID') {
    doubles.send(Message.newMethodReturn(message, 'o', [SESSION_PATH]));
    return true;
  }
  const value = message.member === 'Get' ? properties[about]?.[name] : undefined;
  if (value === undefined) return false;
  doubles.send(Message.newMethodReturn(message, 'v', [value]));
  return true;
}

function signal(from: string, member: string, signature = '', body: unknown[] = []): void {
  doubles.send(Message.newSignal(paths[from] ?? '/', from, member, signature, body));
}

function changed(about: string, values: Record<string, Variant>): void {
  const path = paths[about] ?? '/';
  const body = [about, values, []];
  const standard = 'org.freedesktop.DBus.Properties';
  doubles.send(Message.newSignal(path, standard, 'PropertiesChanged', 'sa{sv}as', body));
}

let daemon: ChildProcess;
let doubles: MessageBus;
let followed: Bus | undefined;
let told: Conditions[];

beforeEach(async () => {
  daemon = spawn('dbus-daemon', ['--session', '--nofork', '--nopidfile', '--print-address=3'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const lines = createInterface({ input: daemon.stdio[3] as Readable });
  const [address] = (await once(lines, 'line')) as [string];
  vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', address);
  doubles = sessionBus({ busAddress: address });
  await once(doubles, 'connect');
  told = [];
});

afterEach(async () => {
  followed?.disconnect();
  followed = undefined;
  doubles.disconnect();
  vi.unstubAllEnvs();
  daemon.kill();
  await once(daemon, 'exit');
});

const now = (): Conditions => Object.assign({}, ...told);
const becomes = (expected: Conditions) =>
  until(
    async () => now(),
    (found) =>
      Object.entries(expected).every(([name, value]) => Reflect.get(found, name) === value),
    5_000,
    JSON.stringify(expected),
    async () => JSON.stringify(now()),
  );

describe('the services', () => {
  test('are told as they are, and as they change', async () => {
    doubles.addMethodHandler(answer);
    for (const name of ['login1', 'UPower', 'NetworkManager'])
      await doubles.requestName(`org.freedesktop.${name}`, 0);

    followed = await followServices((conditions) => told.push(conditions));
    expect(followed).toBeDefined();
    expect(now()).toEqual({ onBattery: false, lid: 'open', metered: false });

    signal(LOGIN, 'PrepareForSleep', 'b', [true]);
    await becomes({ suspendInMs: 5_000 });
    signal(LOGIN, 'PrepareForSleep', 'b', [false]);
    await becomes({ suspendInMs: null });
    signal(LOGIN, 'PrepareForShutdown', 'b', [true]);
    await becomes({ shutdownInMs: 5_000 });
    signal(SESSION, 'Lock');
    await becomes({ locked: true });
    signal(SESSION, 'Unlock');
    await becomes({ locked: false });
    changed(POWER, { OnBattery: new Variant('b', true), LidIsClosed: new Variant('b', true) });
    await becomes({ onBattery: true, lid: 'closed' });
    // What is not looked at changes nothing.
    changed(POWER, { DaemonVersion: new Variant('s', '1') });
    changed(NETWORK, { Metered: new Variant('u', 3) });
    await becomes({ onBattery: true, lid: 'closed', metered: true });
  });

  test('may all be missing', async () => {
    followed = await followServices((conditions) => told.push(conditions));
    expect(followed).toBeDefined();
    expect(now()).toEqual({});
  });
});

test('without a system bus nothing is known, and nothing fails', async () => {
  vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', 'unix:path=/nonexistent');
  expect(await followServices(() => expect.unreachable())).toBeUndefined();
});
