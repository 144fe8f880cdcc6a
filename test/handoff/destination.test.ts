/** The destination at work, with a QEMU, a journal and a host of our own, which fail at will. */
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { HandoffDestination } from '../../src/handoff/destination.ts';
import type {
  GuestHostPort,
  IncomingRequest,
  OwnershipRecord,
  QmpPort,
  QmpPortEvent,
} from '../../src/handoff/index.ts';
import {
  type HandoffKey,
  type Result,
  SEAL_VALID_MS,
  STREAM_VERSION,
} from '../../src/handoff/messages.ts';
import { call } from '../../src/handoff/rpc.ts';
import { tinySpec } from '../lab/tiny-guest.ts';
import { Loopback } from './loopback.ts';

const SOURCE = 'a'.repeat(64);
const DESTINATION = 'b'.repeat(64);
const PATIENCE = { timeoutMs: 5_000 };

class FakeQmp implements QmpPort {
  isClosed = false;
  readonly closed = new Promise<never>(() => undefined);
  readonly #listeners = new Map<string, Set<(event: QmpPortEvent) => void>>();
  readonly #execute: (command: string) => unknown;

  constructor(execute: (command: string) => unknown) {
    this.#execute = execute;
  }
  async execute(command: string): Promise<unknown> {
    return this.#execute(command);
  }
  executeOob(command: string): Promise<unknown> {
    return this.execute(command);
  }
  on(event: string, listener: (event: QmpPortEvent) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }
  waitFor(): Promise<QmpPortEvent> {
    return new Promise(() => undefined);
  }
  emit(event: string, data: QmpPortEvent['data']): void {
    for (const listener of this.#listeners.get(event) ?? []) listener({ event, data });
  }
}

class Place {
  readonly spec = { ...tinySpec(), id: randomUUID() };
  readonly link = new Loopback(SOURCE, DESTINATION);
  readonly records: OwnershipRecord[] = [];
  /** What the host and QEMU were told, in order. */
  readonly told: string[] = [];
  readonly warnings: string[] = [];
  wall = 1_000_000;
  uptime = 5_000;
  /** Called before a record is written, and in the host's calls; throws what goes wrong. */
  append: (record: OwnershipRecord) => unknown = () => undefined;
  host: Partial<Record<'claimed' | 'activated' | 'discard' | 'cont', () => void>> = {};
  readonly qmp = new FakeQmp((command) => {
    if (command === 'cont') this.#tell('cont');
    if (command === 'query-status') return { running: false, status: 'paused' };
    if (command === 'query-migrate') return { status: 'completed' };
    return [];
  });
  readonly destination: HandoffDestination;

  constructor() {
    this.spec.abi.disks = [];
    const host: GuestHostPort = {
      prepareIncoming: async () => ({ qmp: this.qmp, directory: '/nonexistent' }),
      claimed: () => this.#tell('claimed'),
      activated: async () => this.#tell('activated'),
      lost: async (_request, { code }) => {
        this.told.push(`lost ${code}`);
      },
      discard: async () => this.#tell('discard'),
    };
    this.destination = new HandoffDestination({
      host,
      journal: {
        append: async (record) => {
          await this.append(record);
          this.records.push(record);
        },
        recordsOf: async (id) => this.records.filter(({ handoffId }) => handoffId === id),
      },
      preflight: async () => [],
      admit: async () => undefined,
      now: () => this.wall,
      uptime: () => this.uptime,
      log: { info: () => undefined, warn: (_details, message) => this.warnings.push(message) },
    });
    this.destination.serve(this.link.far);
  }

  #tell(what: 'claimed' | 'activated' | 'discard' | 'cont'): void {
    this.told.push(what);
    this.host[what]?.();
  }

  get recordTypes(): string[] {
    return this.records.map(({ type }) => type);
  }

  key(): HandoffKey {
    return { handoffId: randomUUID(), guestId: this.spec.id, epoch: 2 };
  }

  async prepare(key: HandoffKey): Promise<void> {
    const params = { ...key, spec: this.spec, streamVersion: STREAM_VERSION } as const;
    await call(this.link.near, 'handoff.prepare', params, PATIENCE);
  }

  async loaded(): Promise<HandoffKey> {
    const key = this.key();
    await this.prepare(key);
    this.qmp.emit('MIGRATION', { status: 'completed' });
    await call(this.link.near, 'handoff.loaded', key, PATIENCE);
    return key;
  }

  seal(key: HandoffKey, confirmation: string | null = null): Promise<Result<'handoff.seal'>> {
    return call(this.link.near, 'handoff.seal', { ...key, confirmation }, PATIENCE);
  }

  /** Resolves when the host or QEMU has been told this so many times. */
  async hears(what: string, times = 1): Promise<void> {
    await expect
      .poll(() => this.told.filter((one) => one === what).length, { timeout: PATIENCE.timeoutMs })
      .toBeGreaterThanOrEqual(times);
  }
}

describe('a claim', () => {
  test('is told to the host before the guest runs, and its network is moved after', async () => {
    const place = new Place();
    expect(await place.seal(await place.loaded())).toMatchObject({ outcome: 'claimed' });
    expect(place.told).toEqual(['claimed', 'cont', 'activated']);
    expect(place.recordTypes).toEqual(['incoming-started', 'incoming-claimed']);
  });

  test('stands when the network cannot be moved, which is tried once more', async () => {
    const place = new Place();
    const fail = () => {
      throw new Error('no datapath');
    };
    place.host = { claimed: fail, activated: fail };
    const key = await place.loaded();
    expect(await place.seal(key)).toMatchObject({ outcome: 'claimed' });
    await place.hears('activated', 2);
    expect(await place.seal(key)).toMatchObject({ outcome: 'claimed' });
    expect(place.told).toEqual(['claimed', 'cont', 'activated', 'activated']);
    expect(place.warnings).toHaveLength(3);
  });

  test('of a guest that may have run stands, and the host is told that it is lost', async () => {
    const place = new Place();
    place.host.cont = () => {
      throw new Error('no answer');
    };
    expect(await place.seal(await place.loaded())).toMatchObject({ outcome: 'claimed' });
    expect(place.told).toEqual(['claimed', 'cont', 'lost handoff-failed']);
  });
});

describe('a seal that comes after this host has slept', () => {
  test.each(['uptime', 'wall'] as const)('does not count: %s', async (clock) => {
    const place = new Place();
    const key = await place.loaded();
    place[clock] += SEAL_VALID_MS + 1;
    const late = await place.seal(key);
    expect(late.outcome).toBe('late');
    place[clock] += SEAL_VALID_MS + 1;
    const later = await place.seal(key, late.confirmation);
    expect(later.outcome).toBe('late');
    expect(await place.seal(key, late.confirmation)).toMatchObject({ outcome: 'late' });
    expect(place.recordTypes).toEqual(['incoming-started']);
  });

  test('counts with a fresh confirmation, and when the wall clock was set back', async () => {
    const place = new Place();
    const key = await place.loaded();
    place.uptime += SEAL_VALID_MS + 1;
    const { confirmation } = await place.seal(key);
    place.wall -= 3_600_000;
    place.uptime += SEAL_VALID_MS;
    expect(await place.seal(key, confirmation)).toMatchObject({ outcome: 'claimed' });
  });
});

describe('a journal that takes no more', () => {
  test('leaves a sealed guest stopped and the source unanswered, until a refusal is written', async () => {
    const place = new Place();
    const key = await place.loaded();
    place.append = () => {
      throw new Error('EIO');
    };
    await expect(place.seal(key)).rejects.toThrow('EIO');
    await expect(place.seal(key)).rejects.toThrow('EIO');
    expect(place.told).toEqual([]);
    await expect(place.prepare(place.key())).rejects.toMatchObject({ code: 'handoff-under-way' });
    place.append = () => undefined;
    expect(await place.seal(key)).toMatchObject({ outcome: 'refused' });
    expect(place.recordTypes).toEqual(['incoming-started', 'incoming-refused']);
    expect(place.told).toEqual(['discard']);
  });

  test('that hangs keeps one seal waiting, not all', async () => {
    const place = new Place();
    const key = await place.loaded();
    const written = Promise.withResolvers<void>();
    // The append waits for what this returns.
    place.append = () => written.promise;
    const first = place.seal(key);
    const second = place.seal(key);
    await expect(first).rejects.toMatchObject({ code: 'seal-repeated' });
    written.resolve();
    expect(await second).toMatchObject({ outcome: 'claimed' });
  });
});

describe('a QEMU that cannot be ended', () => {
  test('is tried again until it is; meanwhile the guest cannot come and no seal waits', async () => {
    const place = new Place();
    const key = await place.loaded();
    let broken = true;
    place.host.discard = () => {
      if (broken) throw new Error('it does not end');
    };
    await call(place.link.near, 'handoff.abort', key, PATIENCE);
    await place.hears('discard', 2);
    await expect(place.prepare(place.key())).rejects.toMatchObject({ code: 'handoff-under-way' });
    await expect(place.seal(key)).rejects.toThrow('it does not end');
    expect(place.warnings).toHaveLength(1);
    broken = false;
    await expect
      .poll(() => place.prepare(place.key()).then(() => 'begun'), { timeout: PATIENCE.timeoutMs })
      .toBe('begun');
    expect(place.recordTypes).toEqual(['incoming-started', 'incoming-refused', 'incoming-started']);
  });

  test('does not keep a restarted agent from starting', async () => {
    const place = new Place();
    const { handoffId, epoch } = await place.loaded();
    const request: IncomingRequest = { handoffId, epoch, from: SOURCE, spec: place.spec };
    const again = new Place();
    again.records.push(...place.records);
    again.records.push({ ...(place.records[0] as OwnershipRecord), type: 'incoming-refused' });
    again.host.discard = () => {
      throw new Error('it does not end');
    };
    const guest = { qmp: again.qmp, directory: '/nonexistent' };
    expect(await again.destination.recover(request, guest)).toBe('nothing');
  });
});
