/** What OVSDB's messages look like (RFC 7047, 4 and 5), as far as they are read here. */
import { z } from 'zod';

const id = z.union([z.number(), z.string(), z.null()]);

/** 4: an answer has `result`, a request or notification has `method`. */
export const incomingMessage = z.union([
  z.looseObject({ method: z.string(), params: z.array(z.unknown()), id: id.optional() }),
  z.looseObject({ id, result: z.unknown().optional(), error: z.unknown().optional() }),
]);

const atom = z.union([z.string(), z.number(), z.boolean()]);
export type Atom = z.infer<typeof atom>;
export type Uuid = readonly ['uuid' | 'named-uuid', string];

const uuid = z.tuple([z.enum(['uuid', 'named-uuid']), z.string()]);
const element = z.union([atom, uuid]);
/** 5.1: one value, a set, or a map. */
export const columnValue = z.union([
  element,
  z.tuple([z.literal('set'), z.array(element)]),
  z.tuple([z.literal('map'), z.array(z.tuple([element, element]))]),
]);
export type ColumnValue = z.infer<typeof columnValue>;

export const row = z.record(z.string(), columnValue);
export type Row = z.infer<typeof row>;

/** 4.1.3: the result of one operation of a transaction; null for one after an error. */
export const operationResult = z.union([
  z.null(),
  z.looseObject({ error: z.string(), details: z.string().optional() }),
  z.looseObject({
    count: z.number().optional(),
    uuid: uuid.optional(),
    rows: z.array(row).optional(),
  }),
]);
export type OperationResult = z.infer<typeof operationResult>;

export type Operation = { readonly op: string } & Readonly<Record<string, unknown>>;

/** The elements of a column, whether there is one, none or several; of a map none. */
export function elements(value: ColumnValue | undefined): (Atom | Uuid)[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return [value];
  if (value[0] === 'set') return value[1] as (Atom | Uuid)[];
  return value[0] === 'map' ? [] : [value as unknown as Uuid];
}

/** UUIDs in a column of references. */
export function references(value: ColumnValue | undefined): string[] {
  return elements(value).flatMap((each) => (Array.isArray(each) ? [each[1]] : []));
}

export function mapOf(value: ColumnValue | undefined): Record<string, string> {
  if (!Array.isArray(value) || value[0] !== 'map') return {};
  return Object.fromEntries(value[1].map(([key, each]) => [String(key), String(each)]));
}

export const setOf = (values: readonly (Atom | Uuid)[]) => ['set', values] as const;
export const toMap = (values: Readonly<Record<string, string>>) =>
  ['map', Object.entries(values)] as const;
