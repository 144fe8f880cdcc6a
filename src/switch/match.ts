/** Matches as data, and their compiled form: a masked flow key. */
import { SojournError } from '../common/index.ts';
import {
  type FieldName,
  fieldDefinition,
  fieldMask,
  fields,
  KEY_WORDS,
  putField,
} from './fields.ts';

export interface MaskedValue {
  readonly value: bigint;
  readonly mask: bigint;
}
/** A field is matched exactly, or where its mask has ones. A field left out matches anything. */
export type Match = { readonly [Name in FieldName]?: bigint | MaskedValue };

export interface CompiledMatch {
  readonly key: Uint32Array;
  readonly mask: Uint32Array;
}

function bad(message: string): SojournError {
  return new SojournError({ kind: 'usage', code: 'flow-match-bad', message });
}

/**
 * Compiles a match and checks it as OpenFlow 1.3.5 does when a flow is added (7.2.3.6 to 7.2.3.8).
 * @throws SojournError `flow-match-bad`: a value outside its field or mask, or a prerequisite not met.
 */
export function compileMatch(match: Match): CompiledMatch {
  const key = new Uint32Array(KEY_WORDS);
  const mask = new Uint32Array(KEY_WORDS);
  for (const [name, wanted] of Object.entries(match) as [FieldName, bigint | MaskedValue][]) {
    if (!(name in fields)) throw bad(`There is no match field "${name}"`);
    const all = fieldMask(name);
    const value = typeof wanted === 'bigint' ? wanted : wanted.value;
    const bits = typeof wanted === 'bigint' ? all : wanted.mask;
    if (value < 0n || value > all || bits < 0n || bits > all)
      throw bad(`The value of ${name} does not fit the field`);
    if ((value & ~bits) !== 0n) throw bad(`The value of ${name} has bits outside its mask`);
    const requires = fieldDefinition(name).requires ?? {};
    for (const [other, values] of Object.entries(requires)) {
      const given = match[other as FieldName];
      if (typeof given !== 'bigint' || !values.includes(Number(given)))
        throw bad(`${name} needs ${other} to be one of ${values.join(', ')}`);
    }
    putField(key, name, value);
    putField(mask, name, bits);
  }
  return { key, mask };
}

/** `{value, mask}` of a prefix of `length` bits of a field that is `bits` wide. */
export function prefix(value: bigint, length: number, bits: 32 | 128): MaskedValue {
  const mask = ((1n << BigInt(length)) - 1n) << BigInt(bits - length);
  return { value: value & mask, mask };
}
