/** Matches in their compiled form: a masked flow key. */
import {
  type FieldName,
  fieldMask,
  type MaskedValue,
  type Match,
  openFlowError,
  oxmField,
  oxmFields,
  PORT,
  type Prerequisite,
  VLAN,
} from '../openflow/index.ts';
import { KEY_WORDS, presenceBit, putField, WORD } from './fields.ts';

export type { MaskedValue, Match } from '../openflow/index.ts';

export interface CompiledMatch {
  readonly key: Uint32Array;
  readonly mask: Uint32Array;
}

/**
 * Compiles a match and checks it as OpenFlow 1.3.5 does when a flow is added (7.2.3.3 to 7.2.3.8).
 * @throws OpenFlowError OFPET_BAD_MATCH: a value outside its field or mask, a mask that the field does not allow, or a
 * prerequisite not met.
 */
export function compileMatch(match: Match): CompiledMatch {
  if (match.unknown !== undefined && match.unknown.length > 0)
    throw openFlowError('bad-match', 'bad-field', 'a field that OpenFlow 1.3 does not define');
  const key = new Uint32Array(KEY_WORDS);
  const mask = new Uint32Array(KEY_WORDS);
  let present = 0;
  for (const name of Object.keys(match) as (FieldName | 'unknown')[]) {
    if (name === 'unknown') continue;
    if (!(name in oxmFields))
      throw openFlowError('bad-match', 'bad-field', `there is no match field "${name}"`);
    const wanted = match[name] as bigint | MaskedValue;
    const { value, bits } = checkValue(name, wanted);
    if (bits === 0n) continue;
    for (const one of oxmField(name).requires) checkPrerequisite(match, name, one);
    putField(key, name, value);
    putField(mask, name, bits);
    present |= presenceBit(name);
  }
  key[WORD.protocol] = (key[WORD.protocol] as number) | present;
  mask[WORD.protocol] = (mask[WORD.protocol] as number) | present;
  return { key, mask };
}

function checkValue(
  name: FieldName,
  wanted: bigint | MaskedValue,
): { value: bigint; bits: bigint } {
  const all = fieldMask(name);
  const value = typeof wanted === 'bigint' ? wanted : wanted.value;
  const bits = typeof wanted === 'bigint' ? all : wanted.mask;
  if (value < 0n || value > all)
    throw openFlowError('bad-match', 'bad-value', `the value of ${name} does not fit the field`);
  if (bits < 0n || bits > all || (bits !== all && !oxmField(name).maskable))
    throw openFlowError('bad-match', 'bad-mask', `${name} cannot have this mask`);
  if ((value & ~bits) !== 0n)
    throw openFlowError(
      'bad-match',
      'bad-wildcards',
      `the value of ${name} has bits outside its mask`,
    );
  if (name === 'in_port' && !isIngressPort(Number(value)))
    throw openFlowError('bad-match', 'bad-value', `no packet comes in at port ${value}`);
  return { value, bits };
}

/** Whether a packet can come from there (7.2.1). */
export function isIngressPort(port: number): boolean {
  return port <= PORT.max || port === PORT.local || port === PORT.controller;
}

/** @throws OpenFlowError OFPBMC_BAD_PREREQ. */
function checkPrerequisite(match: Match, name: FieldName, prerequisite: Prerequisite): void {
  const { field } = prerequisite;
  const given = match[field as FieldName];
  const exact =
    typeof given === 'bigint'
      ? given
      : given?.mask === fieldMask(field as FieldName)
        ? given.value
        : undefined;
  let met = given !== undefined;
  if ('oneOf' in prerequisite)
    met = exact !== undefined && prerequisite.oneOf.includes(Number(exact));
  else if ('not' in prerequisite) met &&= !isUntagged(given as bigint | MaskedValue);
  if (met) return;
  const which = 'oneOf' in prerequisite ? ` to be one of ${prerequisite.oneOf.join(', ')}` : '';
  throw openFlowError('bad-match', 'bad-prereq', `${name} needs ${field}${which}`);
}

/** Whether a match on `vlan_vid` takes only packets without a tag. */
export function isUntagged(wanted: bigint | MaskedValue): boolean {
  const { value, mask } = typeof wanted === 'bigint' ? { value: wanted, mask: -1n } : wanted;
  const present = BigInt(VLAN.present);
  return (mask & present) !== 0n && (value & present) === 0n;
}

/** `{value, mask}` of a prefix of `length` bits of a field that is `bits` wide. */
export function prefix(value: bigint, length: number, bits: 32 | 128): MaskedValue {
  const mask = ((1n << BigInt(length)) - 1n) << BigInt(bits - length);
  return { value: value & mask, mask };
}
