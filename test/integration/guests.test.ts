/** The guests of one place over the deaths of agents, QEMUs and the host's memory, with real QEMUs. */
import { access, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { GuestFiles } from '../../src/agent/guests/guest-files.ts';
import { Guests } from '../../src/agent/guests/guests.ts';
import type { Machine } from '../../src/agent/guests/machine.ts';
import { openDatabase } from '../../src/agent/state/database.ts';
import { GuestStore } from '../../src/agent/state/guest-store.ts';
import type { GuestSpec } from '../../src/guest/spec.ts';
import type { ImageStore } from '../../src/images/index.ts';
import { blankBase, type TinyGuest, tinyGuest, tinySpec } from '../lab/tiny-guest.ts';

let root: string;
let tiny: TinyGuest;
let store: GuestStore;
let files: GuestFiles;
let images: ImageStore;
const agents: Guests[] = [];
let pids: number[] = [];

/** The kernel and the initial RAM disk are told from the base by their digests. */
const DIGESTS = { base: '0'.repeat(64), kernel: '1'.repeat(64), initrd: '2'.repeat(64) };

beforeEach(async () => {
  root = await mkdtemp('/dev/shm/guests-');
  vi.stubEnv('XDG_RUNTIME_DIR', root);
  tiny = await tinyGuest();
  await blankBase(join(root, 'base'));
  const paths = new Map([
    [DIGESTS.base, join(root, 'base')],
    [DIGESTS.kernel, tiny.kernel],
    [DIGESTS.initrd, tiny.initrd],
  ]);
  images = {
    verify: async () => undefined,
    path: (digest: string) => paths.get(digest),
  } as unknown as ImageStore;
  store = new GuestStore(openDatabase(join(root, 'state.db')));
  files = new GuestFiles(root, join(root, 'g'), images);
});

afterEach(async () => {
  for (const agent of agents.splice(0)) {
    pids.push(...agent.allLive().map((live) => live.process.record.process.pid));
    agent.release();
  }
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  pids = [];
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true });
});

/** What an agent has of its guests; a second one stands for the agent that comes after. */
function newAgent(): Guests {
  const guests = new Guests({
    store,
    files,
    images,
    machine: { qemu: async () => ({ binary: 'qemu-system-x86_64' }) } as unknown as Machine,
    log: pino({ level: 'silent' }),
    netSocket: () => join(root, 'net.sock'),
    departing: () => undefined,
    qmpLog: undefined,
  });
  agents.push(guests);
  return guests;
}

function newGuest(): GuestSpec {
  const plain = tinySpec();
  const blob = (digest: string) => ({ digest, bytes: 1 });
  const boot = {
    ...{ kind: 'kernel' as const, commandLine: 'console=ttyS0 panic=-1 rdinit=/init' },
    ...{ kernel: blob(DIGESTS.kernel), initrd: blob(DIGESTS.initrd) },
  };
  const spec = { ...plain, abi: { ...plain.abi, boot } };
  const since = spec.createdAt;
  store.put({ spec, intent: 'stopped', process: null, disks: [], crash: null, since });
  return spec;
}

async function started(guests: Guests, spec: GuestSpec) {
  const live = await guests.start(spec);
  pids.push(live.process.record.process.pid);
  return live;
}

function recorded(spec: GuestSpec) {
  const stored = store.find(spec.id);
  if (stored === undefined) throw new Error('the guest is not on record');
  return stored;
}

function overlay(spec: GuestSpec): string {
  return recorded(spec).disks[0]?.overlayPath ?? '';
}

function durable(spec: GuestSpec): string {
  return join(files.directory(spec), 'disk0.qcow2');
}

/** As after a restart of the host without warning. */
async function loseMemory(guests: Guests, spec: GuestSpec): Promise<void> {
  const live = guests.live(spec.id);
  const path = overlay(spec);
  guests.release();
  await live?.process.kill();
  await rm(path);
}

describe('an agent that comes after one that died', () => {
  test('finds the QEMU that was started and not recorded', async () => {
    const spec = newGuest();
    const before = newAgent();
    const live = await started(before, spec);
    before.release();
    store.put({ ...recorded(spec), process: null });
    const after = newAgent();
    const found = await after.adopt(recorded(spec), { kind: 'running' });
    expect(found?.process.record.process).toEqual(live.process.record.process);
    expect(recorded(spec).process?.process).toEqual(live.process.record.process);
    // Its overlay is in use, not on disk.
    await access(overlay(spec));
    await expect(access(durable(spec))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('ends the QEMU of a guest that shall not run', async () => {
    const spec = newGuest();
    const before = newAgent();
    const live = await started(before, spec);
    before.release();
    store.put({ ...recorded(spec), process: null, intent: 'stopped' });
    expect(await newAgent().adopt(recorded(spec), { kind: 'running' })).toBeUndefined();
    await live.process.exited;
    await access(durable(spec));
  });

  test('waits for a QEMU that does not answer, and tells of it meanwhile', async () => {
    const spec = newGuest();
    const before = newAgent();
    const { process: qemu } = await started(before, spec);
    const { pid } = qemu.record.process;
    before.release();
    await qemu.qmp.closed;
    process.kill(pid, 'SIGSTOP');
    const after = newAgent();
    const adopted = after.adopt(recorded(spec), { kind: 'running' });
    await vi.waitUntil(() => after.unresponsive(spec.id) !== undefined, { timeout: 60_000 });
    expect(after.unresponsive(spec.id)).toMatchObject({ pid });
    await expect(after.start(spec)).rejects.toMatchObject({ code: 'guest-unresponsive' });
    await expect(after.stop(spec.id, false)).rejects.toMatchObject({ code: 'guest-unresponsive' });
    process.kill(pid, 'SIGCONT');
    expect((await adopted)?.process.record.process.pid).toBe(pid);
    expect(after.unresponsive(spec.id)).toBeUndefined();
    expect(after.live(spec.id)?.phase.kind).toBe('running');
  });

  test('can end a QEMU that does not answer', async () => {
    const spec = newGuest();
    const before = newAgent();
    const { process: qemu } = await started(before, spec);
    before.release();
    await qemu.qmp.closed;
    process.kill(qemu.record.process.pid, 'SIGSTOP');
    const after = newAgent();
    const adopted = after.adopt(recorded(spec), { kind: 'running' });
    await vi.waitUntil(() => after.unresponsive(spec.id) !== undefined, { timeout: 60_000 });
    await after.stop(spec.id, true);
    expect(await adopted).toBeUndefined();
    expect(recorded(spec)).toMatchObject({ intent: 'stopped', process: null, crash: null });
    await access(durable(spec));
  });
});

describe('a guest whose memory is lost', () => {
  test('is not silently started from an older copy, only if that is asked for', async () => {
    const spec = newGuest();
    const before = newAgent();
    await started(before, spec);
    await before.persistAll();
    const madeBy = new Date().toISOString();
    await loseMemory(before, spec);
    const after = newAgent();
    expect(await after.adopt(recorded(spec), { kind: 'running' })).toBeUndefined();
    const refusal = await after.start(spec).catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      code: 'overlay-lost',
      remedy: expect.stringContaining('--from-copy'),
    });
    const told = /since (\S+) is gone/.exec(String(refusal))?.[1] ?? '';
    expect(told > spec.createdAt && told <= madeBy).toBe(true);
    const live = await after.start(spec, { fromCopy: true });
    pids.push(live.process.record.process.pid);
  });

  test('starts from its copy as ever when it had stopped before', async () => {
    const spec = newGuest();
    const guests = newAgent();
    await started(guests, spec);
    await guests.stop(spec.id, true);
    await expect(access(overlay(spec))).rejects.toMatchObject({ code: 'ENOENT' });
    await started(guests, spec);
    expect(recorded(spec).intent).toBe('running');
  });

  test('cannot be started when there is no copy at all', async () => {
    const spec = newGuest();
    const before = newAgent();
    await started(before, spec);
    await loseMemory(before, spec);
    const after = newAgent();
    await after.adopt(recorded(spec), { kind: 'running' });
    for (const fromCopy of [false, true])
      await expect(after.start(spec, { fromCopy })).rejects.toMatchObject({
        code: 'overlay-lost',
        remedy: expect.stringContaining('guest delete'),
      });
  });
});

test('a guest that was not claimed leaves nothing; one that was has crashed, and keeps its disk', async () => {
  const guests = newAgent();
  for (const claimed of [false, true]) {
    const spec = newGuest();
    const live = await guests.startIncoming(spec);
    pids.push(live.process.record.process.pid);
    if (claimed) guests.claimed(spec.id);
    await live.process.kill();
    await vi.waitUntil(() => recorded(spec).process === null);
    // Until its files are settled.
    await guests.persistAll();
    expect(recorded(spec)).toMatchObject({
      intent: claimed ? 'running' : 'stopped',
      crash: claimed ? { signal: 'SIGKILL' } : null,
    });
    const kept = access(durable(spec)).then(
      () => true,
      () => false,
    );
    expect(await kept).toBe(claimed);
    store.remove(spec.id);
  }
});

test('a late end of a stay that is over does not touch the guest that has come back', async () => {
  const spec = newGuest();
  const guests = newAgent();
  const first = await started(guests, spec);
  await guests.stop(spec.id, true);
  const second = await started(guests, spec);
  await guests.discard(spec, first);
  expect(guests.live(spec.id)).toBe(second);
  await access(overlay(spec));
  await guests.stop(spec.id, true);
  await guests.discard(spec, first);
  await access(durable(spec));
  // It waits for what is under way, and then does its work once.
  const third = await started(guests, spec);
  const stopped = guests.stop(spec.id, true);
  await Promise.all([stopped, guests.discard(spec, third), guests.discard(spec, third)]);
  await expect(access(files.directory(spec))).rejects.toMatchObject({ code: 'ENOENT' });
  expect(recorded(spec).disks).toEqual([]);
});
