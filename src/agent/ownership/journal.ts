/** The ownership journal of this place: what is appended decides, after a crash too, who may run a guest. */
import type { OwnershipRecord } from '../../handoff/index.ts';
import { AppendLog } from '../state/append-log.ts';
import { type JournalRecord, journalRecord, type Ownership, ownershipOf } from './ownership.ts';

export class Journal {
  readonly #log: AppendLog<JournalRecord>;
  readonly #byGuest = new Map<string, JournalRecord[]>();

  private constructor(log: AppendLog<JournalRecord>) {
    this.#log = log;
    for (const record of log.entries) this.#index(record);
  }

  /** @throws SojournError `journal-damaged` */
  static async open(path: string): Promise<Journal> {
    return new Journal(await AppendLog.open(path, journalRecord));
  }

  /** Durable when it resolves. @throws SojournError `journal-not-writable` */
  async append(record: JournalRecord): Promise<void> {
    await this.#log.append(record);
    this.#index(record);
  }

  /** All records about a guest, oldest first. */
  of(guestId: string): readonly JournalRecord[] {
    return this.#byGuest.get(guestId) ?? [];
  }

  /** Ids of all guests that there are records about. */
  get guests(): readonly string[] {
    return [...this.#byGuest.keys()];
  }

  ownership(guestId: string): Ownership {
    return ownershipOf(this.of(guestId));
  }

  async recordsOf(handoffId: string): Promise<readonly OwnershipRecord[]> {
    return this.#log.entries.filter(
      (record): record is OwnershipRecord =>
        record.type !== 'guest-created' &&
        record.type !== 'guest-deleted' &&
        record.type !== 'guest-forced' &&
        record.handoffId === handoffId,
    );
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  #index(record: JournalRecord): void {
    const records = this.#byGuest.get(record.guestId);
    if (records === undefined) this.#byGuest.set(record.guestId, [record]);
    else records.push(record);
  }
}
