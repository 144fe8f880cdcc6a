/** Switchovers of a simulated guest between two datapath processes, under numbered packets 1 ms apart. */
import { setInterval as every, setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  FakeGuest,
  guestNumber,
  type Network,
  numbered,
  type Place,
  range,
  siteAndDevices,
} from './harness.ts';

// Each starts processes, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const sender = guestNumber(2);
const mover = guestNumber(3);
const address6 = '2001:db8:77:3::99';
const COUNT = 400;
let network: Network;
let site: Place;
let device: Place;
let other: Place;
let correspondent: FakeGuest;
const guests: FakeGuest[] = [];

async function setUp(delayMs: number, devices = 1): Promise<void> {
  network = await siteAndDevices(devices, delayMs);
  site = network.site;
  [device, other] = network.devices as [Place, Place];
  await site.client.call('setGuest', {
    ...sender,
    epoch: 1,
    location: { kind: 'local' },
    port: { socket: site.socketOf(sender), held: false },
  });
  correspondent = await FakeGuest.connect(sender, site.socketOf(sender));
}

afterEach(async () => {
  correspondent?.close();
  for (const guest of guests.splice(0)) guest.close();
  await network?.stop();
});

async function connect(place: Place): Promise<FakeGuest> {
  const guest = await FakeGuest.connect(mover, place.socketOf(mover));
  guests.push(guest);
  return guest;
}

/** The guest runs at `here`; at the other place nobody knows more than that. */
async function settle(here: Place, there: Place, epoch: number): Promise<FakeGuest> {
  const socket = here.socketOf(mover);
  await here.client.call('setGuest', {
    ...mover,
    epoch,
    location: { kind: 'local' },
    anchor: site.id,
    port: { socket, held: false },
  });
  await there.client.call('setGuest', {
    ...mover,
    epoch,
    location: { kind: 'peer', peer: here.id },
    anchor: site.id,
  });
  return await connect(here);
}

/** What the destination's agent does before the handoff. */
async function prepare(here: Place, from: Place, epoch: number): Promise<FakeGuest> {
  await here.client.call('setGuest', {
    ...mover,
    epoch,
    // A device does not need to know where the guest is: the anchor does.
    location: here === site ? { kind: 'peer', peer: from.id } : { kind: 'none' },
    anchor: site.id,
    port: { socket: here.socketOf(mover), held: true },
  });
  return await connect(here);
}

/** What it does with the claim. */
async function claim(here: Place, epoch: number): Promise<void> {
  const port = { socket: here.socketOf(mover), held: true };
  const settings = { ...mover, epoch, location: { kind: 'local' as const }, anchor: site.id, port };
  await here.client.call('setGuest', settings);
  await here.client.call('releasePort', { guestId: mover.guestId });
}

/** Sends `count` numbered packets to the guest, one a millisecond, IPv4 and IPv6 in turn. */
async function stream(count: number): Promise<void> {
  const from4 = { mac: sender.mac, address: sender.network.hoa4 };
  const from6 = { mac: sender.mac, address: '2001:db8:77:2::5' };
  let n = 0;
  for await (const _ of every(1)) {
    const v4 = n % 2 === 0;
    correspondent.send(numbered(v4 ? from4 : from6, v4 ? mover.network.hoa4 : address6, n));
    if (++n === count) return;
  }
}

describe.each([0, 15])('a switchover over a link of %d ms', (delayMs) => {
  it('from the device to the anchor loses, repeats and reorders nothing', async () => {
    await setUp(delayMs);
    const before = await settle(device, site, 1);
    const sending = stream(COUNT);
    await before.frames.until(() => before.numbers.length >= 100, 'the first packets');
    const after = await prepare(site, device, 1);
    await device.client.call('beginSwitchover', { guestId: mover.guestId, epoch: 1 });
    const stopped = before.numbers.length;
    await pause(10);
    expect(before.numbers.length).toBe(stopped);
    const commit = { guestId: mover.guestId, epoch: 2, to: site.id };
    await device.client.call('commitSwitchover', commit);
    // The seal takes its time too.
    await pause(delayMs);
    await claim(site, 2);
    await sending;
    await after.frames.until(() => after.numbers.includes(COUNT - 1), 'the last packet');
    expect([...before.numbers, ...after.numbers]).toEqual(range(COUNT));
    expect(after.numbers.length).toBeGreaterThan(100);
    expect(site.events.items.map(({ event }) => event)).not.toContain('markerTimeout');
  });

  it('from the anchor to the device loses, repeats and reorders nothing', async () => {
    await setUp(delayMs);
    const before = await settle(site, device, 5);
    const sending = stream(COUNT);
    await before.frames.until(() => before.numbers.length >= 100, 'the first packets');
    const after = await prepare(device, site, 5);
    const begun = await site.client.call('beginSwitchover', { guestId: mover.guestId, epoch: 5 });
    expect(begun.drained).toBe(true);
    await pause(10);
    await site.client.call('commitSwitchover', { guestId: mover.guestId, epoch: 6, to: device.id });
    await pause(delayMs);
    await claim(device, 6);
    await sending;
    await after.frames.until(() => after.numbers.includes(COUNT - 1), 'the last packet');
    expect([...before.numbers, ...after.numbers]).toEqual(range(COUNT));
    const status = await device.client.call('status', {});
    const expected = { epoch: 6, location: { kind: 'local' }, state: 'live' };
    expect(status.guests[0]).toMatchObject(expected);
  });

  it('from one device to another, through the anchor, loses, repeats and reorders nothing', async () => {
    await setUp(delayMs, 2);
    const before = await settle(device, site, 1);
    const sending = stream(COUNT);
    await before.frames.until(() => before.numbers.length >= 100, 'the first packets');
    const after = await prepare(other, device, 1);
    await device.client.call('beginSwitchover', { guestId: mover.guestId, epoch: 1 });
    await pause(10);
    const commit = { guestId: mover.guestId, epoch: 2, to: other.id };
    const mapping = { ...mover, epoch: 2, location: { kind: 'peer' as const, peer: other.id } };
    await device.client.call('commitSwitchover', commit);
    await pause(delayMs);
    await Promise.all([
      site.client.call('setGuest', { ...mapping, anchor: site.id }),
      claim(other, 2),
    ]);
    await sending;
    await after.frames.until(() => after.numbers.includes(COUNT - 1), 'the last packet');
    expect([...before.numbers, ...after.numbers]).toEqual(range(COUNT));
  });

  it('that is aborted delivers everything where the guest was', async () => {
    await setUp(delayMs);
    const before = await settle(device, site, 1);
    const sending = stream(COUNT);
    await before.frames.until(() => before.numbers.length >= 50, 'the first packets');
    await device.client.call('beginSwitchover', { guestId: mover.guestId, epoch: 1 });
    await pause(10);
    await device.client.call('abortSwitchover', { guestId: mover.guestId });
    await sending;
    await before.frames.until(() => before.numbers.includes(COUNT - 1), 'the last packet');
    expect(before.numbers).toEqual(range(COUNT));
  });
});

describe('a switchover', () => {
  it('is refused under a stale epoch, and of a guest that is elsewhere', async () => {
    await setUp(0);
    await settle(device, site, 7);
    const { guestId } = mover;
    await expect(
      device.client.call('beginSwitchover', { guestId, epoch: 6 }),
    ).rejects.toMatchObject({ code: 'epoch-stale' });
    await expect(site.client.call('beginSwitchover', { guestId, epoch: 7 })).rejects.toMatchObject({
      code: 'guest-not-here',
    });
  });

  it('goes on without the guest when it holds too much, and says so', async () => {
    await setUp(0);
    await settle(site, device, 1);
    await site.client.call('beginSwitchover', { guestId: mover.guestId, epoch: 1 });
    const from = { mac: sender.mac, address: sender.network.hoa4 };
    for (let n = 0; n < 4_000; n++) correspondent.send(numbered(from, mover.network.hoa4, n, 1300));
    await site.events.next(({ event }) => event === 'holdOverflow', 'the event');
    const [, guest] = (await site.client.call('status', {})).guests;
    expect(guest?.held.bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
  });
});
