/**
 * An operating system that nobody prepared for Sojourn: Debian with systemd, booted by UEFI through its own boot
 * loader, moves to the site and back under the eyes of people who are logged in by ssh, and stays a whole machine there:
 * it can be rebooted, stopped and started.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Side } from './agent-place.ts';
import { type CountingSession, DebianGuest, type Tick } from './debian-guest.ts';
import { BOOT_DEADLINE_MS, DebianPlaces, timed } from './debian-places.ts';

const GUEST = 'debian';
/** How long a line may be on its way, on a machine that is busy with emulation. */
const LATENCY_MS = 500;
const VARIABLE = '/sys/firmware/efi/efivars/Remember-5f7c2c0e-8d0b-4b0e-9a55-3a1d6f0c7e03';
const HARM =
  /I\/O error|EXT4-fs (error|warning)|Remounting filesystem|Clock change|Time jumped|time jump|hung task|blocked for more than|kernel BUG|Oops|panic/i;

let places: DebianPlaces;
let byIpv4: DebianGuest;
let byIpv6: DebianGuest;
let boot: string;

beforeAll(async () => {
  places = await DebianPlaces.create(GUEST);
  const { correspondent } = places.lab;
  const { network } = await places.view('device');
  byIpv4 = new DebianGuest(correspondent, network.hoa4);
  boot = await timed('boot', () => byIpv4.booted(BOOT_DEADLINE_MS));
  const addresses = await byIpv4.run('ip -6 -o address show scope global');
  const hoa6 = /inet6 ([0-9a-f:]+)\//.exec(addresses)?.[1];
  if (hoa6 === undefined) throw new Error(`no IPv6 address: ${addresses}`);
  byIpv6 = new DebianGuest(correspondent, hoa6);
});

afterAll(async () => {
  await places?.close();
});

test('it has booted by UEFI, by itself, with all its services', async () => {
  expect(await byIpv4.run('cat /proc/cmdline')).toContain('initrd=\\initrd.img');
  expect(await byIpv4.run('systemctl is-system-running || systemctl --failed')).toBe('running');
  expect(await byIpv4.run('ip -o link show dev "$(ls /sys/class/net | grep -v lo)"')).toContain(
    'mtu 1380',
  );
  expect(await byIpv4.run('ls /sys/class/virtio-ports/; systemctl list-units')).not.toMatch(
    /sojourn|qemu-guest-agent\.service/,
  );
});

test('sessions, files and clock survive the handoff to the site and back', async () => {
  await byIpv4.run(
    "systemd-run --unit=writer sh -c 'n=0; while n=$((n+1)); do echo $n >>/root/records; sync /root/records; sleep 0.2; done'",
  );
  await byIpv4.run(`printf '\\007\\0\\0\\0kept' >'${VARIABLE}'`);
  const sessions = [await byIpv4.count(), await byIpv6.count()];
  try {
    await nextTicks(sessions, 20);
    await handOff('device', 'site', sessions);
    await handOff('site', 'device', sessions);
  } finally {
    for (const session of sessions) session.close();
  }
  for (const { ticks } of sessions) {
    expect(ticks.map(({ count }) => count)).toEqual(ticks.map((_, index) => index + 1));
    expect(sinceBootSpread(ticks)).toBeLessThan(LATENCY_MS);
  }
  expect(await byIpv4.run('cat /proc/sys/kernel/random/boot_id')).toBe(boot);
  await expectWhole();
});

test('it can be rebooted at the site that it was handed to', async () => {
  await handOff('device', 'site', []);
  await expectGrowing();
  await byIpv4.run('systemctl stop writer; nohup systemctl reboot >/dev/null 2>&1 &');
  boot = await timed('reboot', () => byIpv4.booted(BOOT_DEADLINE_MS, boot));
  expect((await places.view('site')).state.kind).toBe('running');
  expect(await byIpv4.run(`cat '${VARIABLE}'`)).toContain('kept');
  await expectWhole();
});

test('it can be stopped there, and started again', async () => {
  const { site } = places;
  const digest = await byIpv4.run('sha256sum /root/records');
  await timed('stop', () => site.sojourn('guest', 'stop', GUEST));
  expect((await places.view('site')).state).toMatchObject({ kind: 'stopped' });
  await site.sojourn('guest', 'start', GUEST);
  boot = await timed('start', () => byIpv4.booted(BOOT_DEADLINE_MS, boot));
  expect(await byIpv4.run('sha256sum /root/records')).toBe(digest);
  // From its own file now: the flash chips are new ones.
  expect(await byIpv4.run(`cat '${VARIABLE}'`)).toContain('kept');
  expect(await byIpv4.run('systemctl is-system-running || systemctl --failed')).toBe('running');
  await expectWhole();
  // By its power button and with its file systems clean, not by force.
  expect(await byIpv4.run('journalctl -b -1 -n 50 -o cat')).toMatch(
    /Power key pressed|Reached target.*[Pp]ower.?[Oo]ff/,
  );
});

async function handOff(from: Side, to: Side, sessions: CountingSession[]): Promise<void> {
  const before = await nextTicks(sessions, 10);
  const { pauseMs } = await places.handOff(from, to);
  const after = await nextTicks(sessions, 10);
  expect((await places.view(to)).state.kind).toBe('running');
  // A guest without an agent in it does not learn of the pause: its clock is behind by that, and by nothing else.
  for (const [index, ticks] of after.entries()) {
    const behind = clockBehind(ticks) - clockBehind(before[index] ?? []);
    expect(Math.abs(behind)).toBeLessThan(pauseMs + LATENCY_MS);
  }
}

function nextTicks(sessions: readonly CountingSession[], count: number): Promise<Tick[][]> {
  return Promise.all(sessions.map((session) => session.next(count)));
}

/** How far the guest's time of day is behind ours, and the line that was fastest on its way, ms. */
function clockBehind(ticks: readonly Tick[]): number {
  return Math.min(...ticks.map(({ at, wallMs }) => at - wallMs));
}

/** How much the guest's time of day was ever set, seen against its time since boot, ms. */
function sinceBootSpread(ticks: readonly Tick[]): number {
  const differences = ticks.map(({ wallMs, bootMs }) => wallMs - bootMs);
  return Math.max(...differences) - Math.min(...differences);
}

/** The journal tells of no harm, and the file that is appended to has every line. */
async function expectWhole(): Promise<void> {
  const journal = await byIpv4.run('journalctl -b --no-pager');
  expect(journal.split('\n').filter((line) => HARM.test(line))).toEqual([]);
  const records = (await byIpv4.run('cat /root/records')).split('\n').map(Number);
  expect(records).toEqual(records.map((_, index) => index + 1));
  expect(await byIpv4.run('findmnt -n -o OPTIONS /')).toMatch(/^rw\b/);
}

async function expectGrowing(): Promise<void> {
  const lines = 'wc -l </root/records';
  const [before, after] = (await byIpv4.run(`${lines}; sleep 2; ${lines}`)).split('\n').map(Number);
  expect(after).toBeGreaterThan(before ?? Number.NaN);
}
