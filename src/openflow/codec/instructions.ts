/** Instructions on the wire (OpenFlow 1.3.5, 7.2.4): `be16 type, be16 length`, a multiple of 8 bytes in all. */
import type { Instruction, InstructionType } from '../actions.ts';
import { onfError, openFlowError } from '../errors.ts';
import { actions } from './actions.ts';
import { type AnyKind, type Kind, layout, rest, u8, u32, u64 } from './layout.ts';
import type { LengthError } from './wire.ts';

const lengthError: LengthError = (detail) => openFlowError('bad-instruction', 'bad-len', detail);

type Of<T extends InstructionType> = Extract<Instruction, { readonly type: T }>;

const withActions = layout<Of<'apply-actions'>>()(4, ['actions', actions]);

/** `ofp_instruction_type`, and what follows type and length. */
const instructionTypes: { readonly [T in InstructionType]: readonly [number, AnyKind] } = {
  'goto-table': [1, layout<Of<'goto-table'>>()(['table', u8], 3)],
  'write-metadata': [2, layout<Of<'write-metadata'>>()(4, ['value', u64], ['mask', u64])],
  'write-actions': [3, withActions],
  'apply-actions': [4, withActions],
  'clear-actions': [5, layout<object>()(4)],
  meter: [6, layout<Of<'meter'>>()(['meter', u32])],
  experimenter: [0xffff, layout<Of<'experimenter'>>()(['experimenter', u32], ['data', rest])],
};

export const instructionNumbers = Object.fromEntries(
  Object.entries(instructionTypes).map(([type, [number]]) => [type, number]),
) as Readonly<Record<InstructionType, number>>;

const typeOfNumber = new Map<number, InstructionType>(
  Object.entries(instructionNumbers).map(([type, number]) => [number, type as InstructionType]),
);

export function instructionOfNumber(number: number): InstructionType | undefined {
  return typeOfNumber.get(number);
}

const instruction: Kind<Instruction> = {
  read(from) {
    if (from.left < 8) throw lengthError(`${from.left} bytes of an instruction`);
    const number = from.u16();
    const length = from.u16();
    if (length < 8 || length % 8 !== 0 || length - 4 > from.left)
      throw lengthError(`an instruction of ${length} bytes with ${from.left + 4} left`);
    const type = typeOfNumber.get(number);
    if (type === undefined)
      throw openFlowError('bad-instruction', 'unknown-inst', `instruction ${number}`);
    const body = from.part(length - 4, lengthError);
    const value = { type, ...instructionTypes[type][1].read(body) } as Instruction;
    body.finish();
    return value;
  },
  write(to, value) {
    const start = to.length;
    const [number, kind] = instructionTypes[value.type];
    to.u16(number);
    to.u16(0);
    kind.write(to, value as never);
    const length = to.length - start;
    if (length % 8 !== 0) throw new RangeError(`an instruction of ${length} bytes`);
    to.patch16(start + 2, length);
  },
};

/** To the end; at most one of each type (5.9). */
export const instructions: Kind<readonly Instruction[]> = {
  read(from) {
    const list: Instruction[] = [];
    const seen = new Set<InstructionType>();
    while (from.left > 0) {
      const next = instruction.read(from);
      if (seen.has(next.type) && next.type !== 'experimenter')
        throw onfError('duplicate-instruction', `two of ${next.type}`);
      seen.add(next.type);
      list.push(next);
    }
    return list;
  },
  write(to, list) {
    for (const next of list) instruction.write(to, next);
  },
};
