/** Datapath processes: death and return, spoofing, floods, garbage. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { createConnection, type Socket, connect as tcpConnect } from 'node:net';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { adoptDatapath, DatapathClient } from '../../src/datapath/index.ts';
import { ALPN_TUNNEL, tlsClientOptions } from '../../src/transport/index.ts';
import { FakeGuest, guestNumber, numbered, Place, range, siteAndDevices } from './harness.ts';

// Each starts processes, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const places: Place[] = [];
const guests: FakeGuest[] = [];
const one = guestNumber(2);
const two = guestNumber(3);
const from = (guest: typeof one) => ({ mac: guest.mac, address: guest.network.hoa4 });

afterEach(async () => {
  for (const guest of guests.splice(0)) guest.close();
  await Promise.all(places.splice(0).map((place) => place.stop()));
});

async function single(): Promise<Place> {
  const place = await Place.start();
  places.push(place);
  await place.client.call('configure', { identityDir: place.directory, peers: [] });
  return place;
}

async function pair() {
  const { site, devices } = await siteAndDevices(1);
  const [device] = devices as [Place];
  places.push(site, device);
  return { site, device };
}

async function attach(place: Place, guest: typeof one, elsewhere?: Place): Promise<FakeGuest> {
  const socket = place.socketOf(guest);
  const port = { socket, held: false };
  await place.client.call('setGuest', { ...guest, epoch: 1, location: { kind: 'local' }, port });
  const location = { kind: 'peer' as const, peer: place.id };
  await elsewhere?.client.call('setGuest', { ...guest, epoch: 1, location });
  const fake = await FakeGuest.connect(guest, socket);
  guests.push(fake);
  return fake;
}

const drops = async (place: Place) => (await place.client.call('status', {})).drops;

describe('a datapath that is killed', () => {
  it('is restored by the next one: same sockets, mappings, tunnel; and says that QEMU came back', async () => {
    const { site, device } = await pair();
    const sender = await attach(site, one, device);
    await attach(device, two, site);
    for (const place of [device, site]) {
      process.kill(place.handle.record.process.pid, 'SIGKILL');
      await place.client.closed;
    }
    device.events.items.length = 0;
    expect(sender.closed).toBe(true);
    // The site's port is another one now (0 was asked for), so the device learns where it is.
    await site.startDatapath();
    const { listening } = await site.client.call('status', {});
    const state = join(device.directory, 'dp', 'datapath.json');
    const saved = JSON.parse(await readFile(state, 'utf8'));
    saved.configuration.peers[0].dial.port = listening?.port;
    await writeFile(state, JSON.stringify(saved));
    await device.startDatapath();
    const again = await FakeGuest.connect(one, site.socketOf(one));
    const receiver = await FakeGuest.connect(two, device.socketOf(two));
    guests.push(again, receiver);
    await device.events.next(({ event }) => event === 'tunnelUp', 'the tunnel');
    await site.events.next(({ event }) => event === 'guestPortReconnected', 'the event');
    await device.events.next(({ event }) => event === 'guestPortReconnected', 'the event');
    again.send(numbered(from(one), two.network.hoa4, 1));
    await receiver.frames.until(() => receiver.numbers.length === 1, 'a packet');
  });

  it('is adopted while it lives, and not when it is dead', async () => {
    const place = await single();
    const directory = join(place.directory, 'dp');
    const adopted = await adoptDatapath({ directory });
    expect(adopted?.record).toEqual(place.handle.record);
    await adopted?.client.close();
    process.kill(place.handle.record.process.pid, 'SIGKILL');
    await place.client.closed;
    expect(await adoptDatapath({ directory })).toBeUndefined();
    await expect(place.client.call('status', {})).rejects.toMatchObject({
      code: 'datapath-unreachable',
    });
  });

  it('does not outlive an agent that ended before it had recorded it', async () => {
    const place = await single();
    const main = fileURLToPath(new URL('../../src/datapath/main.ts', import.meta.url));
    const directory = await mkdtemp(join(place.directory, 'other-'));
    const child = spawn(process.execPath, [main, '--directory', directory], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    const starter = child.stdio[3] as Socket;
    const [ready] = await once(starter, 'data');
    expect(`${ready}`).toBe('ready\n');
    starter.destroy();
    expect(await once(child, 'exit')).toEqual([1, null]);
  });

  it('keeps events for the agent that comes later', async () => {
    const place = await single();
    await place.client.close();
    const client = await DatapathClient.connect(join(place.directory, 'dp', 'datapath.sock'));
    const port = { socket: place.socketOf(one), held: false };
    await client.call('setGuest', { ...one, epoch: 1, location: { kind: 'local' }, port });
    guests.push(await FakeGuest.connect(one, port.socket));
    // A round trip behind the connection, so that the event has happened.
    while (!(await client.call('status', {})).guests[0]?.port?.connected);
    await client.close();
    place.events.items.length = 0;
    const directory = join(place.directory, 'dp');
    const later = await adoptDatapath({ directory, onEvent: (event) => place.events.push(event) });
    await place.events.next(({ event }) => event === 'guestPortConnected', 'the event');
    await later?.client.close();
  });
});

describe('a tunnel', () => {
  it('whose other end stalls is given up and comes back', async () => {
    const { site, device } = await pair();
    const { pid } = device.handle.record.process;
    process.kill(pid, 'SIGSTOP');
    try {
      await site.events.next(({ event }) => event === 'tunnelDown', 'the loss');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    site.events.items.length = 0;
    await site.events.next(({ event }) => event === 'tunnelUp', 'the return');
  });

  it('takes in nobody unknown, and outlives garbage', async () => {
    const { site, device } = await pair();
    const stranger = await Place.start();
    places.push(stranger);
    const { listening } = await site.client.call('status', {});
    const port = listening?.port as number;
    const ended = (socket: { once(event: 'close', listener: () => void): unknown }) =>
      new Promise<void>((resolve) => {
        socket.once('close', () => resolve());
      });
    const tls = tlsConnect({ ...tlsClientOptions(stranger.identity, ALPN_TUNNEL), port });
    tls.on('error', () => {});
    await ended(tls);
    const raw = tcpConnect(port);
    raw.on('error', () => {});
    raw.write(Buffer.alloc(100_000, 0x5a));
    await ended(raw);
    // Known, but not a datapath: the tunnel is lost to it, and won back by the device.
    const odd = tlsConnect({ ...tlsClientOptions(device.identity, ALPN_TUNNEL), port });
    odd.on('error', () => {});
    odd.once('secureConnect', () => odd.write(Buffer.from([0, 2, 1, 9, 9])));
    await ended(odd);
    site.events.items.length = 0;
    device.events.items.length = 0;
    await device.events.next(({ event }) => event === 'tunnelUp', 'the tunnel');
  });

  it('comes up while a stranger holds as many silent connections as it can', async () => {
    const { site, device } = await pair();
    const { listening } = await site.client.call('status', {});
    const port = listening?.port as number;
    const silent = new Set<Socket>();
    let over = false;
    const open = (connected?: () => void) => {
      const socket = tcpConnect({ port, localAddress: '127.0.0.2' }, connected);
      silent.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        silent.delete(socket);
        if (!over) open();
      });
    };
    await Promise.all(range(64).map(() => new Promise<void>((resolve) => open(resolve))));
    device.events.items.length = 0;
    const identityDir = device.directory;
    await device.client.call('configure', { identityDir, peers: [] });
    const peers = [{ id: site.id, dial: { hosts: ['127.0.0.1'], port } }];
    try {
      await device.client.call('configure', { identityDir, peers });
      // Less than the time after which the silent ones would be cut off in any case.
      await device.events.next(({ event }) => event === 'tunnelUp', 'the tunnel', 6_000);
    } finally {
      over = true;
      for (const socket of silent) socket.destroy();
    }
  });

  it('carries only packets of guests that are at its other end', async () => {
    const { site, device } = await pair();
    const receiver = await attach(site, one, device);
    // The device believes that the guest is there; the site knows that it is not.
    const liar = await attach(device, two);
    await site.client.call('setGuest', { ...two, epoch: 1, location: { kind: 'none' } });
    liar.send(numbered(from(two), one.network.hoa4, 1));
    while ((await drops(site)).spoofed !== 1);
    const location = { kind: 'peer' as const, peer: device.id };
    await site.client.call('setGuest', { ...two, epoch: 2, location });
    liar.send(numbered(from(two), one.network.hoa4, 2));
    await receiver.frames.until(() => receiver.numbers.length > 0, 'a packet');
    expect(receiver.numbers).toEqual([2]);
  });
});

describe('a guest', () => {
  it('can use only its own MAC and addresses', async () => {
    const place = await single();
    const sender = await attach(place, one);
    const receiver = await attach(place, two);
    const lies = [
      numbered({ ...from(one), mac: '52:54:00:00:00:99' }, two.network.hoa4, 1),
      numbered({ ...from(one), address: '192.0.2.66' }, two.network.hoa4, 2),
      numbered({ ...from(one), address: '2001:db8:77:3::1' }, '2001:db8:77:3::2', 3),
    ];
    const truths = [
      numbered(from(one), two.network.hoa4, 4),
      numbered({ ...from(one), address: '2001:db8:77:2::abcd' }, '2001:db8:77:3::2', 5),
    ];
    sender.send(...lies, ...truths);
    await receiver.frames.until(() => receiver.numbers.length >= 2, 'the packets');
    expect(receiver.numbers).toEqual([4, 5]);
    expect((await drops(place)).spoofed).toBe(3);
  });

  it('keeps its addresses and its port when another is set up with them', async () => {
    const { site, device } = await pair();
    const sender = await attach(site, one);
    const receiver = await attach(site, two);
    const thief = guestNumber(4);
    const away = { epoch: 1, location: { kind: 'peer' as const, peer: device.id } };
    const before = (await site.client.call('status', {})).cache.flows;
    const { hoa4, hoa6Prefix } = two.network;
    for (const lie of [
      { ...thief, network: { ...thief.network, hoa4 } },
      { ...thief, network: { ...thief.network, hoa6Prefix } },
      { ...thief, network: { ...thief.network, hoa6Prefix: '2001:db8:77:3:1::/64' } },
      { ...thief, port: { socket: site.socketOf(two), held: true } },
    ])
      await expect(site.client.call('setGuest', { ...lie, ...away })).rejects.toMatchObject({
        kind: 'conflict',
        code: 'address-in-use',
      });
    const status = await site.client.call('status', {});
    expect(status.guests.map(({ guestId }) => guestId)).toEqual([one.guestId, two.guestId]);
    expect(status.cache.flows).toBe(before);
    // One that is known already cannot change to it either.
    const network = { ...one.network, hoa4 };
    await expect(
      site.client.call('setGuest', { ...one, network, ...away, epoch: 2 }),
    ).rejects.toMatchObject({ code: 'address-in-use' });
    sender.send(numbered(from(one), hoa4, 1));
    await receiver.frames.until(() => receiver.numbers.length === 1, 'a packet');
    // Its own settings may come again, and who is gone leaves its address to others.
    await site.client.call('removeGuest', { guestId: two.guestId });
    await site.client.call('setGuest', { ...thief, network: two.network, ...away });
  });

  it('is told what is too big, and big IPv4 packets are fragmented where allowed', async () => {
    const place = await single();
    const sender = await attach(place, one);
    const receiver = await attach(place, two);
    const whole = numbered(from(one), two.network.hoa4, 1, 1460);
    const stubborn = Buffer.from(whole);
    stubborn.writeUInt16BE(0x4000, 20);
    stubborn.writeUInt16BE(whole.readUInt16BE(24) - 0x4000, 24);
    const six = { ...from(one), address: '2001:db8:77:2::1' };
    sender.send(whole, stubborn, numbered(six, '2001:db8:77:3::2', 2, 1400));
    await receiver.frames.until((frames) => frames.length === 2, 'two fragments');
    expect(receiver.frames.items.map((frame) => frame.length)).toEqual([14 + 1380, 14 + 20 + 108]);
    const error4 = await sender.frames.next((frame) => frame[23] === 1, 'an ICMP error');
    expect([error4[34], error4[35], error4.readUInt16BE(40)]).toEqual([3, 4, 1380]);
    const error6 = await sender.frames.next((frame) => frame[12] === 0x86, 'an ICMPv6 error');
    expect([error6[54], error6.readUInt32BE(58)]).toEqual([2, 1380]);
  });

  it('that floods takes nothing from another, and its port is closed when it sends no frames', async () => {
    const place = await single();
    const flooder = await attach(place, one);
    const polite = await attach(place, two);
    const receiver = await attach(place, guestNumber(4));
    const burst = Array.from({ length: 20_000 }, () =>
      numbered(from(one), '192.0.2.4', 1_000_000, 1300),
    );
    flooder.send(...burst);
    for (const n of range(100)) polite.send(numbered(from(two), '192.0.2.4', n));
    const last = () => receiver.numbers.includes(99);
    await receiver.frames.until(last, 'the polite packets');
    expect(receiver.numbers.filter((n) => n < 100)).toEqual(range(100));
    flooder.socket.write(Buffer.alloc(8, 0xff));
    await place.events.next(({ event }) => event === 'guestPortDisconnected', 'the end');
  });
});

describe('the control socket', () => {
  async function talk(place: Place, bytes: Buffer | string): Promise<string> {
    const socket = createConnection(join(place.directory, 'dp', 'datapath.sock'));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', () => {});
    socket.end(bytes);
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
    });
    return text;
  }

  it('is for its owner only, and refuses garbage, unknown calls, bad parameters, endless lines', async () => {
    const place = await single();
    const mode = (await stat(join(place.directory, 'dp', 'datapath.sock'))).mode & 0o777;
    expect(mode).toBe(0o600);
    expect(await talk(place, 'no json\n')).toContain('control-malformed');
    expect(await talk(place, '[1]\n')).toContain('control-malformed');
    expect(await talk(place, '{"id":1,"method":"toString"}\n')).toContain('no call');
    expect(await talk(place, '{"id":2,"method":"setGuest","params":{}}\n')).toContain('"id":2');
    expect(await talk(place, Buffer.alloc(3_000_000, 0x61))).toContain('exceeds');
    expect((await place.client.call('status', {})).pid).toBe(place.handle.record.process.pid);
  });

  it('refuses stale epochs, unknown guests, a missing identity', async () => {
    const place = await single();
    const set = (epoch: number) =>
      place.client.call('setGuest', { ...one, epoch, location: { kind: 'none' } });
    await set(5);
    await set(5);
    await expect(set(4)).rejects.toMatchObject({ kind: 'conflict', code: 'epoch-stale' });
    const { guestId } = two;
    await place.client.call('removeGuest', { guestId });
    await expect(place.client.call('releasePort', { guestId })).rejects.toMatchObject({
      kind: 'not-found',
    });
    const wide = { ...two.network, hoa6Prefix: '::/0' };
    await expect(
      place.client.call('setGuest', {
        ...{ ...two, network: wide },
        epoch: 1,
        location: { kind: 'none' },
      }),
    ).rejects.toMatchObject({ code: 'control-malformed' });
    const wrong = { identityDir: join(place.directory, 'none'), peers: [] };
    await expect(place.client.call('configure', wrong)).rejects.toMatchObject({
      code: 'identity-missing',
    });
  });
});
