/** The supervisor with real datapath processes that die, hang, and hold what an earlier agent left. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DatapathSupervisor } from '../../../src/agent/network/datapath-supervisor.ts';
import type { GuestSettings } from '../../../src/datapath/index.ts';
import { loadOrCreateIdentity } from '../../../src/transport/index.ts';
import { guestNumber } from '../../datapath/harness.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 30_000 });

const home = 'a'.repeat(64);
let directory: string;
let supervisor: DatapathSupervisor;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), `sjs${process.pid}-`));
  await loadOrCreateIdentity(directory);
  supervisor = await start();
});

afterEach(async () => {
  await supervisor.close(true);
  await rm(directory, { recursive: true, force: true });
});

async function start(): Promise<DatapathSupervisor> {
  const started = new DatapathSupervisor({
    directory: join(directory, 'dp'),
    qemu: async () => undefined,
    configuration: () => ({ identityDir: directory, peers: [] }),
    log: pino({ level: 'silent' }),
  });
  await started.start();
  return started;
}

function settings(n: number, rest: Partial<GuestSettings> = {}): GuestSettings {
  return { ...guestNumber(n), epoch: 1, location: { kind: 'none' }, ...rest };
}

const known = async () =>
  (await supervisor.status())?.guests.map(({ guestId }) => guestId).sort() ?? [];

const pid = () => ('pid' in supervisor.process ? supervisor.process.pid : undefined);

/** Resolves when another datapath than `old` has got all that it should have. */
async function successorOf(old: number): Promise<void> {
  do await once(supervisor, 'changed');
  while (pid() === undefined || pid() === old);
}

describe('a guest that is removed', () => {
  it.each(['SIGKILL', 'SIGSTOP'] as const)(
    'while the datapath has got %s is unknown to the next one, whose address another may have',
    async (signal) => {
      await supervisor.setGuest(settings(2));
      await supervisor.setGuest(settings(3));
      await supervisor.removeOthers();
      const old = pid() as number;
      const successor = successorOf(old);
      process.kill(old, signal);
      await supervisor.removeGuest(settings(2).guestId);
      const heir = { ...settings(4), network: settings(2).network };
      await supervisor.ensureGuest(heir);
      await successor;
      expect(await known()).toEqual([settings(3).guestId, heir.guestId]);
    },
  );

  it('by an agent that is gone makes room for one that had to wait for its address', async () => {
    await supervisor.setGuest(settings(2, { port: { socket: join(directory, '2'), held: false } }));
    await supervisor.close(false);
    supervisor = await start();
    const heir = { ...settings(4), network: settings(2).network };
    await expect(supervisor.setGuest(heir)).rejects.toMatchObject({ code: 'address-in-use' });
    await supervisor.removeOthers();
    expect(await known()).toEqual([heir.guestId]);
  });
});

describe('a switchover that is ended while the datapath does not answer', () => {
  it('is ended when it goes on, and has begun to hold packets only then', async () => {
    const { guestId } = settings(2);
    const port = { socket: join(directory, '2'), held: false };
    await supervisor.setGuest(settings(2, { location: { kind: 'local' }, port }));
    const datapath = pid() as number;
    const reached = vi.fn();
    process.kill(datapath, 'SIGSTOP');
    const begun = supervisor.client.call('beginSwitchover', { guestId, epoch: 1 }).catch(reached);
    const again = once(supervisor, 'changed').then(() => once(supervisor, 'changed'));
    await supervisor.client.close();
    await begun;
    await supervisor.abortSwitchover(guestId);
    process.kill(datapath, 'SIGCONT');
    await again;
    expect(reached).toHaveBeenCalled();
    expect(pid()).toBe(datapath);
    expect((await supervisor.status())?.guests[0]?.state).toBe('live');
  });
});

describe('an address that its home gave to another guest', () => {
  const heir = { ...settings(4), network: settings(2).network };

  it('is taken from one that has left', async () => {
    const location = { kind: 'peer' as const, peer: home };
    await supervisor.setGuest(settings(2, { location, anchor: home }));
    await supervisor.setGuest({ ...heir, anchor: home });
    expect(await known()).toEqual([heir.guestId]);
  });

  it.each([
    ['runs here', { port: { socket: '', held: false }, anchor: home }],
    ['has another home', { anchor: 'b'.repeat(64) }],
    ['is anchored here', {}],
  ])('is not taken from one that %s', async (_what, rest: Partial<GuestSettings>) => {
    const port = rest.port && { port: { socket: join(directory, '2'), held: false } };
    const owner = settings(2, { ...rest, ...port });
    await supervisor.setGuest(owner);
    const refused = supervisor.setGuest({ ...heir, anchor: home });
    await expect(refused).rejects.toMatchObject({ kind: 'conflict', code: 'address-in-use' });
    expect(await known()).toEqual([owner.guestId]);
  });
});
