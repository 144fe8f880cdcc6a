/**
 * OXM fields and matches (OpenFlow 1.3.5, 7.2.3).
 *
 *    0                   16            23  24        32
 *   | oxm_class          | oxm_field   |M| length    | value (, mask with M)
 *
 *   | type = 1           | length      | OXM fields ... | zeros to a multiple of 8 |     length without the zeros
 */
import { openFlowError } from '../errors.ts';
import {
  type FieldName,
  fieldMask,
  fieldNames,
  fieldOfNumber,
  oxmField,
  type Prerequisite,
} from '../fields.ts';
import type { FieldValue, Match, UnknownField } from '../match.ts';
import type { Kind } from './layout.ts';
import type { LengthError, Reader, Writer } from './wire.ts';

const BASIC = 0x8000;
const EXPERIMENTER = 0xffff;
const MATCH_OXM = 1;

/** One field as it stands on the wire, its numbers not judged yet. */
export type RawField =
  | {
      readonly known: FieldName;
      readonly value: bigint;
      /** Cut to the bits of the field. */
      readonly mask?: bigint;
    }
  | { readonly known?: undefined; readonly unknown: UnknownField };

export function oxmHeader(name: FieldName, hasMask: boolean): number {
  const size = oxmField(name).bytes * (hasMask ? 2 : 1);
  return ((BASIC << 16) | (oxmField(name).oxm << 9) | (hasMask ? 0x100 : 0) | size) >>> 0;
}

export function readField(from: Reader, lengthError: LengthError): RawField {
  if (from.left < 4) throw lengthError(`${from.left} bytes of an OXM header`);
  const header = from.u32();
  const hasMask = (header & 0x100) !== 0;
  const size = header & 0xff;
  if (size > from.left) throw lengthError(`an OXM field of ${size} bytes with ${from.left} left`);
  const oxmClass = header >>> 16;
  const number = (header >>> 9) & 0x7f;
  const known = oxmClass === BASIC ? fieldOfNumber(number) : undefined;
  if (known === undefined)
    return { unknown: readUnknown(from, oxmClass, number, hasMask, size, lengthError) };
  const bytes = oxmField(known).bytes;
  if (size !== (hasMask ? 2 * bytes : bytes)) throw lengthError(`${known} of ${size} bytes`);
  const value = from.big(bytes);
  return hasMask ? { known, value, mask: from.big(bytes) & fieldMask(known) } : { known, value };
}

function readUnknown(
  from: Reader,
  oxmClass: number,
  field: number,
  hasMask: boolean,
  size: number,
  lengthError: LengthError,
): UnknownField {
  const body = from.part(size, lengthError);
  const experimenter = oxmClass === EXPERIMENTER ? body.u32() : undefined;
  if (hasMask && body.left % 2 !== 0) throw lengthError(`a value and mask of ${body.left} bytes`);
  const value = body.bytes(hasMask ? body.left / 2 : body.left);
  return {
    oxmClass,
    field,
    ...(experimenter === undefined ? {} : { experimenter }),
    value,
    ...(hasMask ? { mask: body.rest() } : {}),
  };
}

export function writeField(to: Writer, name: FieldName, value: FieldValue): void {
  const bytes = oxmField(name).bytes;
  const masked = typeof value !== 'bigint';
  to.u32(oxmHeader(name, masked));
  to.big(masked ? value.value : value, bytes);
  if (masked) to.big(value.mask, bytes);
}

export function writeUnknownField(to: Writer, field: UnknownField): void {
  const { oxmClass, experimenter, value, mask } = field;
  const size = (experimenter === undefined ? 0 : 4) + value.length + (mask?.length ?? 0);
  to.u16(oxmClass);
  to.u8((field.field << 1) | (mask === undefined ? 0 : 1));
  to.u8(size);
  if (experimenter !== undefined) to.u32(experimenter);
  to.bytes(value);
  if (mask !== undefined) to.bytes(mask);
}

const lengthError: LengthError = (detail) => openFlowError('bad-match', 'bad-len', detail);

/** A match with its padding; every rule of 7.2.3 that needs no knowledge of the switch is checked. */
export const match: Kind<Match> = {
  read(from) {
    if (from.left < 4) throw lengthError(`${from.left} bytes of a match`);
    const type = from.u16();
    if (type !== MATCH_OXM) throw openFlowError('bad-match', 'bad-type', `match type ${type}`);
    const length = from.u16();
    const padding = -length & 7;
    if (length < 4 || length - 4 + padding > from.left)
      throw lengthError(`a match of ${length} bytes with ${from.left + 4} left`);
    const fields = from.part(length - 4, lengthError);
    from.skip(padding);
    return readFields(fields);
  },
  write(to, value) {
    const start = to.length;
    to.u16(MATCH_OXM);
    to.u16(0);
    // By number, so that prerequisites come first whatever the order of the object.
    for (const name of fieldNames) {
      const wanted = value[name];
      if (wanted !== undefined) writeField(to, name, wanted);
    }
    for (const field of value.unknown ?? []) writeUnknownField(to, field);
    to.patch16(start + 2, to.length - start);
    to.align(start);
  },
};

function readFields(from: Reader): Match {
  const known: { [Name in FieldName]?: FieldValue } = {};
  const unknown: UnknownField[] = [];
  const seen = new Set<string>();
  while (from.left > 0) {
    const field = readField(from, lengthError);
    const id =
      field.known ??
      `${field.unknown.oxmClass}.${field.unknown.experimenter ?? 0}.${field.unknown.field}`;
    if (seen.has(id)) throw openFlowError('bad-match', 'dup-field', id);
    seen.add(id);
    if (field.known === undefined) {
      checkMask(id, field.unknown);
      unknown.push(field.unknown);
      continue;
    }
    checkPrerequisites(known, field.known);
    const value = checkValue(field.known, field.value, field.mask);
    if (value !== undefined) known[field.known] = value;
  }
  return unknown.length === 0 ? known : { ...known, unknown };
}

/** @returns undefined where the mask is zero, which is the same as no field (7.2.3.5). */
function checkValue(name: FieldName, value: bigint, mask?: bigint): FieldValue | undefined {
  const all = fieldMask(name);
  if (value > all) throw openFlowError('bad-match', 'bad-value', `${name} of ${value}`);
  if (mask === undefined || mask === all) return value;
  if ((value & ~mask) !== 0n)
    throw openFlowError('bad-match', 'bad-wildcards', `${name} has bits outside its mask`);
  if (mask === 0n) return undefined;
  if (!oxmField(name).maskable)
    throw openFlowError('bad-match', 'bad-mask', `${name} takes no mask`);
  return { value, mask };
}

function checkMask(id: string, { value, mask }: UnknownField): void {
  if (mask?.some((bits, i) => ((value[i] as number) & ~bits) !== 0))
    throw openFlowError('bad-match', 'bad-wildcards', `${id} has bits outside its mask`);
}

function checkPrerequisites(
  before: { readonly [Name in FieldName]?: FieldValue },
  name: FieldName,
): void {
  for (const wanted of oxmField(name).requires) {
    if (!holds(before[wanted.field as FieldName], wanted))
      throw openFlowError('bad-match', 'bad-prereq', `${name} without its ${wanted.field}`);
  }
}

function holds(given: FieldValue | undefined, wanted: Prerequisite): boolean {
  if (given === undefined) return false;
  const value = Number(typeof given === 'bigint' ? given : given.value);
  if ('oneOf' in wanted) return typeof given === 'bigint' && wanted.oneOf.includes(value);
  return !('not' in wanted) || value !== wanted.not;
}
