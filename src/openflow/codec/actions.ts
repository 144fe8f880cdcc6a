/** Actions on the wire (OpenFlow 1.3.5, 7.2.5): `be16 type, be16 length`, a multiple of 8 bytes in all. */
import type { Action, ActionType } from '../actions.ts';
import { CONTROLLER_LENGTH } from '../constants.ts';
import { onfError, openFlowError } from '../errors.ts';
import { fieldMask } from '../fields.ts';
import { type AnyKind, type Kind, layout, many, rest, u8, u16, u32 } from './layout.ts';
import { readField, writeField, writeUnknownField } from './oxm.ts';
import type { LengthError, Reader, Writer } from './wire.ts';

const lengthError: LengthError = (detail) => openFlowError('bad-action', 'bad-len', detail);
const setLengthError: LengthError = (detail) => openFlowError('bad-action', 'bad-set-len', detail);

type Of<T extends ActionType> = Extract<Action, { readonly type: T }>;

/** `set-unknown-field` goes as set-field. */
type WireType = Exclude<ActionType, 'set-unknown-field'>;

const nothing = layout<object>()(4);

/** `ofp_action_type`, and what follows type and length. */
const actionTypes: { readonly [T in WireType]: readonly [number, AnyKind] } = {
  output: [
    0,
    {
      read: layout<Of<'output'>>()(['port', u32], ['maxLength', u16 as Kind<number | undefined>], 6)
        .read,
      write(to, value) {
        const { port, maxLength } = value as Of<'output'>;
        to.u32(port);
        to.u16(maxLength ?? CONTROLLER_LENGTH.noBuffer);
        to.pad(6);
      },
    },
  ],
  'copy-ttl-out': [11, nothing],
  'copy-ttl-in': [12, nothing],
  'set-mpls-ttl': [15, layout<Of<'set-mpls-ttl'>>()(['ttl', u8], 3)],
  'dec-mpls-ttl': [16, nothing],
  'push-vlan': [17, layout<Of<'push-vlan'>>()(['ethType', u16], 2)],
  'pop-vlan': [18, nothing],
  'push-mpls': [19, layout<Of<'push-mpls'>>()(['ethType', u16], 2)],
  'pop-mpls': [20, layout<Of<'pop-mpls'>>()(['ethType', u16], 2)],
  'set-queue': [21, layout<Of<'set-queue'>>()(['queue', u32])],
  group: [22, layout<Of<'group'>>()(['group', u32])],
  'set-nw-ttl': [23, layout<Of<'set-nw-ttl'>>()(['ttl', u8], 3)],
  'dec-nw-ttl': [24, nothing],
  'set-field': [25, { read: readSetField, write: writeSetField }],
  'push-pbb': [26, layout<Of<'push-pbb'>>()(['ethType', u16], 2)],
  'pop-pbb': [27, nothing],
  experimenter: [0xffff, layout<Of<'experimenter'>>()(['experimenter', u32], ['data', rest])],
};

export const actionNumbers = Object.fromEntries(
  Object.entries(actionTypes).map(([type, [number]]) => [type, number]),
) as Readonly<Record<WireType, number>>;

const typeOfNumber = new Map<number, WireType>(
  Object.entries(actionNumbers).map(([type, number]) => [number, type as WireType]),
);

export function actionOfNumber(number: number): WireType | undefined {
  return typeOfNumber.get(number);
}

export const action: Kind<Action> = {
  read(from) {
    if (from.left < 8) throw lengthError(`${from.left} bytes of an action`);
    const number = from.u16();
    const length = from.u16();
    if (length < 8 || length % 8 !== 0 || length - 4 > from.left)
      throw lengthError(`an action of ${length} bytes with ${from.left + 4} left`);
    const type = typeOfNumber.get(number);
    if (type === undefined) throw openFlowError('bad-action', 'bad-type', `action ${number}`);
    const body = from.part(length - 4, lengthError);
    const value = { type, ...actionTypes[type][1].read(body) } as Action;
    body.finish();
    return value;
  },
  write(to, value) {
    const start = to.length;
    const [number, kind] =
      actionTypes[value.type === 'set-unknown-field' ? 'set-field' : value.type];
    to.u16(number);
    to.u16(0);
    kind.write(to, value as never);
    const length = to.length - start;
    if (length % 8 !== 0) throw new RangeError(`an action of ${length} bytes`);
    to.patch16(start + 2, length);
  },
};

export const actions = many(action);

function readSetField(from: Reader): object {
  const total = from.left;
  const field = readField(from, setLengthError);
  // Zeros up to the end of the action, as few as it takes.
  if (from.left >= 8) throw setLengthError(`a field of ${total - from.left} in ${total} bytes`);
  from.skip(from.left);
  if (field.known === undefined)
    return { type: 'set-unknown-field', field: field.unknown } satisfies Action;
  const { known, value, mask } = field;
  if (mask !== undefined) throw onfError('set-field-mask', `${known} is set with a mask`);
  if (value > fieldMask(known))
    throw openFlowError('bad-action', 'bad-set-argument', `${known} of ${value}`);
  return { field: known, value };
}

function writeSetField(to: Writer, value: object): void {
  const start = to.length - 4;
  const action = value as Of<'set-field'> | Of<'set-unknown-field'>;
  if (action.type === 'set-field') writeField(to, action.field, action.value);
  else writeUnknownField(to, action.field);
  to.align(start);
}
