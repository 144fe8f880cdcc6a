/** When guests leave and come back by themselves, and what was learned of access points. */
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { guestId } from '../../guest/spec.ts';
import {
  defaultRules,
  type LossMemory,
  lossMemorySchema,
  type Rules,
  rulesSchema,
} from '../../link/index.ts';

const memoriesSchema = z.array(z.tuple([z.string().max(256), lossMemorySchema])).max(1024);

const keptHoldSchema = z.object({
  because: z.enum(['moved', 'disarmed']),
  begun: z.object({ atOnce: z.string().max(256), lasting: z.string().max(4096) }),
});
/** What a person did by hand with a guest, and the circumstances in which it stands. */
export type KeptHold = z.infer<typeof keptHoldSchema>;
const keptHoldsSchema = z.record(guestId, keptHoldSchema);

export class PolicyStore {
  readonly #database: DatabaseSync;
  #rules: Rules | undefined;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Automatic handoff is off until somebody switches it on, whatever the rules say. */
  get rules(): Rules {
    this.#rules ??= {
      ...(this.#get('policy-rules', rulesSchema) ?? defaultRules),
      automatic: this.#get('policy-automatic', z.boolean()) ?? false,
    };
    return this.#rules;
  }

  /** The switch stays as it is. */
  set rules(rules: Rules) {
    this.#put('policy-rules', rulesSchema.parse(rules));
  }

  set automatic(on: boolean) {
    this.#put('policy-automatic', on);
  }

  /** By access point, those left longest ago first. */
  get memories(): ReadonlyMap<string, LossMemory> {
    return new Map(this.#get('link-memories', memoriesSchema) ?? []);
  }

  set memories(memories: ReadonlyMap<string, LossMemory>) {
    this.#put('link-memories', [...memories]);
  }

  hold(guest: string): KeptHold | undefined {
    return this.#holds[guest];
  }

  /** Undefined: nothing that was done by hand stands any more. */
  keepHold(guest: string, hold: KeptHold | undefined): void {
    const { [guest]: _before, ...others } = this.#holds;
    this.#put('policy-holds', hold === undefined ? others : { ...others, [guest]: hold });
  }

  get #holds(): Readonly<Record<string, KeptHold>> {
    return this.#get('policy-holds', keptHoldsSchema) ?? {};
  }

  /** Undefined also for what an older version has written and nobody understands any more. */
  #get<Schema extends z.ZodType>(name: string, schema: Schema): z.output<Schema> | undefined {
    const row = this.#database.prepare('SELECT value FROM settings WHERE name = ?').get(name);
    return row === undefined ? undefined : schema.safeParse(JSON.parse(String(row.value))).data;
  }

  #put(name: string, value: unknown): void {
    this.#rules = undefined;
    this.#database
      .prepare('INSERT OR REPLACE INTO settings VALUES (?, ?)')
      .run(name, JSON.stringify(value));
  }
}
