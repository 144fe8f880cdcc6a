/** What every table can do (OpenFlow 1.3.5, 7.3.5.5). */
import {
  type FeatureField,
  type FieldName,
  fieldNames,
  type InstructionType,
  oxmField,
  type TableFeatures,
  type TableProperty,
} from '../openflow/index.ts';
import { MAX_FLOWS } from './flow-changes.ts';
import { NOT_SETTABLE } from './instructions.ts';
import { TABLE_COUNT } from './pipeline.ts';

const ALL_METADATA = 0xffff_ffff_ffff_ffffn;

/** By the numbers of their types (7.2.5). */
export const ACTION_NUMBERS = {
  output: 0,
  'copy-ttl-out': 11,
  'copy-ttl-in': 12,
  'set-mpls-ttl': 15,
  'dec-mpls-ttl': 16,
  'push-vlan': 17,
  'pop-vlan': 18,
  'push-mpls': 19,
  'pop-mpls': 20,
  group: 22,
  'set-nw-ttl': 23,
  'dec-nw-ttl': 24,
  'set-field': 25,
  'push-pbb': 26,
  'pop-pbb': 27,
} as const;

const actions = (Object.keys(ACTION_NUMBERS) as (keyof typeof ACTION_NUMBERS)[]).map((name) => ({
  name,
}));
const instructions: readonly Exclude<InstructionType, 'experimenter'>[] = [
  'goto-table',
  'write-metadata',
  'write-actions',
  'apply-actions',
  'clear-actions',
  'meter',
];

function fieldsOf(names: readonly FieldName[], masked: boolean): FeatureField[] {
  return names.map((name) => ({ name, hasMask: masked && oxmField(name).maskable }));
}

const settable = fieldsOf(
  fieldNames.filter((name) => !NOT_SETTABLE.has(name)),
  false,
);

export function tableFeatures(): TableFeatures[] {
  return Array.from({ length: TABLE_COUNT }, (_, table) => ({
    table,
    name: `table${table}`,
    metadataMatch: ALL_METADATA,
    metadataWrite: ALL_METADATA,
    config: 0,
    maxEntries: MAX_FLOWS,
    properties: propertiesOf(table),
  }));
}

function propertiesOf(table: number): TableProperty[] {
  const next = Array.from({ length: TABLE_COUNT - 1 - table }, (_, i) => table + 1 + i);
  const possible = instructions.filter((name) => name !== 'goto-table' || next.length > 0);
  return [
    { type: 'instructions', miss: false, instructions: possible.map((name) => ({ name })) },
    { type: 'next-tables', miss: false, tables: next },
    { type: 'write-actions', miss: false, actions },
    { type: 'apply-actions', miss: false, actions },
    { type: 'match', fields: fieldsOf(fieldNames, true) },
    { type: 'wildcards', fields: fieldsOf(fieldNames, false) },
    { type: 'write-set-field', miss: false, fields: settable },
    { type: 'apply-set-field', miss: false, fields: settable },
  ];
}
