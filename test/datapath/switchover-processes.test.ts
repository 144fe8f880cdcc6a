/** Switchovers of a simulated guest between two datapath processes, under numbered packets 1 ms apart. */
import { setInterval as every } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeGuest, guestNumber, numbered, type Place, range, siteAndDevice } from './harness.ts';

const sender = guestNumber(2);
const mover = guestNumber(3);
const address6 = '2001:db8:77:3::99';
let site: Place;
let device: Place;
let correspondent: FakeGuest;
const guests: FakeGuest[] = [];

beforeEach(async () => {
  ({ site, device } = await siteAndDevice());
  await site.client.call('setGuest', {
    ...sender,
    epoch: 1,
    location: { kind: 'local' },
    port: { socket: site.socketOf(sender), held: false },
  });
  correspondent = await FakeGuest.connect(sender, site.socketOf(sender));
});

afterEach(async () => {
  correspondent?.close();
  for (const guest of guests.splice(0)) guest.close();
  await Promise.all([site?.stop(), device?.stop()]);
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
    location: { kind: 'peer', peer: from.id },
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

describe('a switchover', () => {
  it('from the device to the anchor loses, repeats and reorders nothing', async () => {
    const before = await settle(device, site, 1);
    const count = 400;
    const sending = stream(count);
    await before.frames.until(() => before.numbers.length >= 100, 'the first packets');
    const after = await prepare(site, device, 1);
    await device.client.call('beginSwitchover', { guestId: mover.guestId, epoch: 1 });
    const stopped = before.numbers.length;
    await every(30)[Symbol.asyncIterator]().next();
    expect(before.numbers.length).toBe(stopped);
    const commit = { guestId: mover.guestId, epoch: 2, to: site.id };
    await Promise.all([device.client.call('commitSwitchover', commit), claim(site, 2)]);
    await sending;
    await after.frames.until(() => after.numbers.includes(count - 1), 'the last packet');
    expect([...before.numbers, ...after.numbers]).toEqual(range(count));
    expect(after.numbers.length).toBeGreaterThan(100);
    expect(site.events.items.map(({ event }) => event)).not.toContain('markerTimeout');
  });

  it('from the anchor to the device loses, repeats and reorders nothing', async () => {
    const before = await settle(site, device, 5);
    const count = 400;
    const sending = stream(count);
    await before.frames.until(() => before.numbers.length >= 100, 'the first packets');
    const after = await prepare(device, site, 5);
    const begun = await site.client.call('beginSwitchover', { guestId: mover.guestId, epoch: 5 });
    expect(begun.drained).toBe(true);
    await every(30)[Symbol.asyncIterator]().next();
    await site.client.call('commitSwitchover', { guestId: mover.guestId, epoch: 6, to: device.id });
    await claim(device, 6);
    await sending;
    await after.frames.until(() => after.numbers.includes(count - 1), 'the last packet');
    expect([...before.numbers, ...after.numbers]).toEqual(range(count));
    const status = await device.client.call('status', {});
    expect(status.guests[0]).toMatchObject({
      epoch: 6,
      location: { kind: 'local' },
      state: 'live',
    });
  });

  it('that is aborted delivers everything where the guest was', async () => {
    const before = await settle(device, site, 1);
    const count = 300;
    const sending = stream(count);
    await before.frames.until(() => before.numbers.length >= 50, 'the first packets');
    await device.client.call('beginSwitchover', { guestId: mover.guestId, epoch: 1 });
    await every(30)[Symbol.asyncIterator]().next();
    await device.client.call('abortSwitchover', { guestId: mover.guestId });
    await sending;
    await before.frames.until(() => before.numbers.includes(count - 1), 'the last packet');
    expect(before.numbers).toEqual(range(count));
  });

  it('is refused under a stale epoch, and of a guest that is elsewhere', async () => {
    await settle(device, site, 7);
    const { guestId } = mover;
    await expect(
      device.client.call('beginSwitchover', { guestId, epoch: 6 }),
    ).rejects.toMatchObject({ code: 'epoch-stale' });
    await expect(site.client.call('beginSwitchover', { guestId, epoch: 7 })).rejects.toMatchObject({
      code: 'guest-not-here',
    });
  });
});
