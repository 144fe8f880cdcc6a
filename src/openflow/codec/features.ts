/** Table features on the wire (OpenFlow 1.3.5, 7.3.5.5): a list of properties per table, each padded to 8 bytes. */
import { openFlowError } from '../errors.ts';
import { fieldOfNumber } from '../fields.ts';
import type {
  FeatureAction,
  FeatureField,
  FeatureId,
  TableFeatures,
  TableProperty,
} from '../multipart.ts';
import { actionNumbers, actionOfNumber } from './actions.ts';
import { instructionNumbers, instructionOfNumber } from './instructions.ts';
import {
  type AnyKind,
  type Kind,
  layout,
  many,
  rest,
  sized,
  text,
  u8,
  u32,
  u64,
} from './layout.ts';
import { oxmHeader } from './oxm.ts';
import type { LengthError, Reader, Writer } from './wire.ts';

const EXPERIMENTER = 0xffff;
const lengthError: LengthError = (detail) =>
  openFlowError('table-features-failed', 'bad-len', detail);

/** `be16 type, be16 length`; an experimenter's has its number and data after it. */
function featureId<Name extends string>(
  nameOf: (number: number) => Name | undefined,
  numbers: Readonly<Record<string, number>>,
): Kind<FeatureId<Name>> {
  return {
    read(from) {
      const id = from.u16();
      const length = from.u16();
      const body = from.part(length - 4, lengthError);
      if (id === EXPERIMENTER)
        return { name: 'experimenter', experimenter: body.u32(), data: body.rest() };
      body.finish();
      const name = nameOf(id);
      return name === undefined ? { name: 'unknown', id } : ({ name } as FeatureId<Name>);
    },
    write(to, value) {
      if ('experimenter' in value) {
        to.u16(EXPERIMENTER);
        to.u16(8 + value.data.length);
        to.u32(value.experimenter);
        to.bytes(value.data);
        return;
      }
      to.u16('id' in value ? value.id : (numbers[value.name] as number));
      to.u16(4);
    },
  };
}

const actionIds = many(featureId<FeatureAction>(actionOfNumber, actionNumbers));
const instructionIds = many(featureId(instructionOfNumber, instructionNumbers));

const field: Kind<FeatureField> = {
  read(from) {
    const header = from.u32();
    const oxmClass = header >>> 16;
    const hasMask = (header & 0x100) !== 0;
    const name = oxmClass === 0x8000 ? fieldOfNumber((header >>> 9) & 0x7f) : undefined;
    if (name !== undefined && oxmHeader(name, hasMask) === header) return { name, hasMask };
    if (oxmClass !== EXPERIMENTER) return { name: 'unknown', header };
    return { name: 'unknown', header, experimenter: from.u32() };
  },
  write(to, value) {
    if (value.name !== 'unknown') {
      to.u32(oxmHeader(value.name, value.hasMask));
      return;
    }
    to.u32(value.header);
    if (value.experimenter !== undefined) to.u32(value.experimenter);
  },
};
const fields = many(field);

type Of<T extends TableProperty['type']> = Extract<TableProperty, { readonly type: T }>;

const instructionList = layout<Of<'instructions'>>()(['instructions', instructionIds]);
const actionList = layout<{ actions: readonly FeatureId<FeatureAction>[] }>()([
  'actions',
  actionIds,
]);
const fieldList = layout<{ fields: readonly FeatureField[] }>()(['fields', fields]);

/** `ofp_table_feature_prop_type`: an odd number is the property of the table-miss flow. */
const propertyTypes: {
  readonly [T in TableProperty['type']]: readonly [number, AnyKind];
} = {
  instructions: [0, instructionList],
  'next-tables': [2, layout<Of<'next-tables'>>()(['tables', many(u8)])],
  'write-actions': [4, actionList],
  'apply-actions': [6, actionList],
  match: [8, fieldList],
  wildcards: [10, fieldList],
  'write-set-field': [12, fieldList],
  'apply-set-field': [14, fieldList],
  experimenter: [
    0xfffe,
    layout<Of<'experimenter'>>()(['experimenter', u32], ['experimenterType', u32], ['data', rest]),
  ],
};
const MATCH_ONLY: ReadonlySet<string> = new Set(['match', 'wildcards']);

const typeOfNumber = new Map<number, { type: TableProperty['type']; miss: boolean }>(
  Object.entries(propertyTypes).flatMap(([name, [number]]) => {
    const type = name as TableProperty['type'];
    const regular = [number, { type, miss: false }] as const;
    return MATCH_ONLY.has(name) ? [regular] : [regular, [number + 1, { type, miss: true }]];
  }),
);

const property: Kind<TableProperty> = {
  read(from: Reader) {
    if (from.left < 4) throw lengthError(`${from.left} bytes of a property`);
    const number = from.u16();
    const length = from.u16();
    const padding = -length & 7;
    if (length < 4 || length - 4 + padding > from.left)
      throw lengthError(`a property of ${length} bytes with ${from.left + 4} left`);
    const found = typeOfNumber.get(number);
    if (found === undefined)
      throw openFlowError('table-features-failed', 'bad-type', `property ${number}`);
    const body = from.part(length - 4, lengthError);
    const { type, miss } = found;
    const value = propertyTypes[type][1].read(body);
    body.finish();
    from.skip(padding);
    return (MATCH_ONLY.has(type) ? { type, ...value } : { type, miss, ...value }) as TableProperty;
  },
  write(to: Writer, value) {
    const start = to.length;
    const [number, kind] = propertyTypes[value.type];
    to.u16('miss' in value && value.miss ? number + 1 : number);
    to.u16(0);
    kind.write(to, value as never);
    to.patch16(start + 2, to.length - start);
    to.align(start);
  },
};

export const tableFeatures: Kind<TableFeatures> = sized(
  layout<TableFeatures>()(
    2,
    ['table', u8],
    5,
    ['name', text(32)],
    ['metadataMatch', u64],
    ['metadataWrite', u64],
    ['config', u32],
    ['maxEntries', u32],
    ['properties', many(property)],
  ),
  0,
  lengthError,
  8,
);
