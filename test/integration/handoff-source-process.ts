/**
 * The source's half of a handoff as a process of its own, so that a test can kill it: takes its options as JSON in the
 * first argument, prints each phase on a line, keeps its ownership journal in a file of lines.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { QmpClient } from '../../src/guest/index.ts';
import { guestSpec } from '../../src/guest/spec.ts';
import { type OwnershipRecord, ownershipRecord, runSource } from '../../src/handoff/index.ts';
import { loadOrCreateIdentity, PeerDialer, type Session } from '../../src/transport/index.ts';

export const processOptions = z.object({
  identity: z.string(),
  peer: z.string(),
  port: z.int(),
  qmp: z.string(),
  directory: z.string(),
  journal: z.string(),
  handoffId: z.uuid(),
  spec: guestSpec,
});
export type ProcessOptions = z.infer<typeof processOptions>;

export class FileJournal {
  readonly #path: string;
  constructor(path: string) {
    this.#path = path;
  }
  async append(record: OwnershipRecord): Promise<void> {
    appendFileSync(this.#path, `${JSON.stringify(record)}\n`, { flush: true });
  }
  async recordsOf(handoffId: string): Promise<OwnershipRecord[]> {
    if (!existsSync(this.#path)) return [];
    const lines = readFileSync(this.#path, 'utf8').split('\n').filter(Boolean);
    const all = lines.map((line) => ownershipRecord.parse(JSON.parse(line)));
    return all.filter((record) => record.handoffId === handoffId);
  }
}

async function main(options: ProcessOptions): Promise<void> {
  const identity = await loadOrCreateIdentity(options.identity);
  const qmp = await QmpClient.connect(options.qmp);
  const session = Promise.withResolvers<Session>();
  const dialer = new PeerDialer({
    identity,
    place: { name: 'laptop', profile: 'device' },
    peer: options.peer,
    hosts: ['127.0.0.1'],
    port: options.port,
    onSession: session.resolve,
  });
  dialer.start();
  const nothing = async () => undefined;
  await runSource({
    handoffId: options.handoffId,
    spec: options.spec,
    epoch: 1,
    peer: options.peer,
    guest: { qmp, destroyCopy: nothing },
    connect: () => session.promise,
    datapath: {
      beginSwitchover: nothing,
      abortSwitchover: nothing,
      commitSwitchover: nothing,
      reclaim: nothing,
    },
    journal: new FileJournal(options.journal),
    directory: options.directory,
    onProgress: ({ phase }) => process.stdout.write(`${phase}\n`),
    now: Date.now,
    log: { info: () => undefined, warn: () => undefined },
  });
  process.stdout.write('ended\n');
  process.exit(0);
}

const json = process.argv[2];
if (import.meta.main && json !== undefined) await main(processOptions.parse(JSON.parse(json)));
