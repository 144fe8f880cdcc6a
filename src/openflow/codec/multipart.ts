/** Bodies of multipart requests and replies on the wire (OpenFlow 1.3.5, 7.3.5). */
import { openFlowError } from '../errors.ts';
import type { PortDescription } from '../messages.ts';
import type {
  BucketCounter,
  Duration,
  FlowSelection,
  FlowStats,
  GroupDescription,
  GroupFeatures,
  GroupStats,
  MeterConfig,
  MeterFeatures,
  MeterStats,
  MultipartExperimenter,
  MultipartKind,
  MultipartReplyBody,
  MultipartRequestBody,
  PortStats,
  QueueStats,
  SwitchDescription,
  TableStats,
} from '../multipart.ts';
import { tableFeatures } from './features.ts';
import { instructions } from './instructions.ts';
import {
  type AnyKind,
  type Kind,
  layout,
  mac,
  many,
  rest,
  sized,
  text,
  times,
  u8,
  u16,
  u32,
  u64,
} from './layout.ts';
import { match } from './oxm.ts';
import { band, bucket, groupType } from './tables.ts';
import type { LengthError } from './wire.ts';

const lengthError: LengthError = (detail) => openFlowError('bad-request', 'bad-len', detail);
const duration = [
  ['durationSeconds', u32],
  ['durationNanoseconds', u32],
] as const satisfies readonly (readonly [keyof Duration, Kind<number>])[];

const selection = layout<FlowSelection>()(
  ['table', u8],
  3,
  ['outPort', u32],
  ['outGroup', u32],
  4,
  ['cookie', u64],
  ['cookieMask', u64],
  ['match', match],
);

export const port = layout<PortDescription>()(
  ['number', u32],
  4,
  ['hardwareAddress', mac],
  2,
  ['name', text(16)],
  ['config', u32],
  ['state', u32],
  ['current', u32],
  ['advertised', u32],
  ['supported', u32],
  ['peer', u32],
  ['currentSpeed', u32],
  ['maxSpeed', u32],
);

const description = layout<SwitchDescription>()(
  ['manufacturer', text(256)],
  ['hardware', text(256)],
  ['software', text(256)],
  ['serial', text(32)],
  ['datapath', text(256)],
);

const flowStats = sized(
  layout<FlowStats>()(
    2,
    ['table', u8],
    1,
    ...duration,
    ['priority', u16],
    ['idleTimeout', u16],
    ['hardTimeout', u16],
    ['flags', u16],
    4,
    ['cookie', u64],
    ['packets', u64],
    ['bytes', u64],
    ['match', match],
    ['instructions', instructions],
  ),
  0,
  lengthError,
  8,
);

const tableStats = layout<TableStats>()(
  ['table', u8],
  3,
  ['active', u32],
  ['lookups', u64],
  ['matched', u64],
);

const portStats = layout<PortStats>()(
  ['port', u32],
  4,
  ['rxPackets', u64],
  ['txPackets', u64],
  ['rxBytes', u64],
  ['txBytes', u64],
  ['rxDropped', u64],
  ['txDropped', u64],
  ['rxErrors', u64],
  ['txErrors', u64],
  ['rxFrameErrors', u64],
  ['rxOverrunErrors', u64],
  ['rxCrcErrors', u64],
  ['collisions', u64],
  ...duration,
);

const queueStats = layout<QueueStats>()(
  ['port', u32],
  ['queue', u32],
  ['txBytes', u64],
  ['txPackets', u64],
  ['txErrors', u64],
  ...duration,
);

const counter = layout<BucketCounter>()(['packets', u64], ['bytes', u64]);

const groupStats = sized(
  layout<GroupStats>()(
    4,
    ['group', u32],
    ['references', u32],
    4,
    ['packets', u64],
    ['bytes', u64],
    ...duration,
    ['buckets', many(counter)],
  ),
  0,
  lengthError,
);

const groupDescription = sized(
  layout<GroupDescription>()(
    2,
    ['groupType', groupType],
    1,
    ['group', u32],
    ['buckets', many(bucket)],
  ),
  0,
  lengthError,
);

const groupFeatures = layout<GroupFeatures>()(
  ['types', u32],
  ['capabilities', u32],
  ['maxGroups', times(4, u32)],
  ['actions', times(4, u32)],
);

const meterStats = sized(
  layout<MeterStats>()(
    ['meter', u32],
    8,
    ['flows', u32],
    ['packets', u64],
    ['bytes', u64],
    ...duration,
    ['bands', many(counter)],
  ),
  4,
  lengthError,
);

const meterConfig = sized(
  layout<MeterConfig>()(2, ['flags', u16], ['meter', u32], ['bands', many(band)]),
  0,
  lengthError,
);

const meterFeatures = layout<MeterFeatures>()(
  ['maxMeters', u32],
  ['bandTypes', u32],
  ['capabilities', u32],
  ['maxBands', u8],
  ['maxColors', u8],
  2,
);

const experimenter = layout<MultipartExperimenter>()(
  ['experimenter', u32],
  ['experimenterType', u32],
  ['data', rest],
);

const nothing = layout<object>()();
/** A body that is a list, and may be spread over messages. */
export interface ListKind extends AnyKind {
  /** Of the property that holds the list. */
  readonly list: string;
  readonly item: AnyKind;
}

const listOf = <T extends object>(list: string, item: Kind<T>): ListKind => ({
  ...layout<Record<string, readonly T[]>>()([list, many(item)]),
  list,
  item,
});
const meterNumber = layout<{ meter: number }>()(['meter', u32], 4);

interface MultipartType {
  readonly number: number;
  readonly request: AnyKind | ListKind;
  readonly reply: AnyKind | ListKind;
}

const multipartTypes: { readonly [K in MultipartKind]: MultipartType } = {
  desc: { number: 0, request: nothing, reply: description },
  flow: { number: 1, request: selection, reply: listOf('flows', flowStats) },
  aggregate: {
    number: 2,
    request: selection,
    reply: layout<Extract<MultipartReplyBody, { kind: 'aggregate' }>>()(
      ['packets', u64],
      ['bytes', u64],
      ['flows', u32],
      4,
    ),
  },
  table: { number: 3, request: nothing, reply: listOf('tables', tableStats) },
  'port-stats': {
    number: 4,
    request: layout<{ port: number }>()(['port', u32], 4),
    reply: listOf('ports', portStats),
  },
  queue: {
    number: 5,
    request: layout<{ port: number; queue: number }>()(['port', u32], ['queue', u32]),
    reply: listOf('queues', queueStats),
  },
  group: {
    number: 6,
    request: layout<{ group: number }>()(['group', u32], 4),
    reply: listOf('groups', groupStats),
  },
  'group-desc': { number: 7, request: nothing, reply: listOf('groups', groupDescription) },
  'group-features': { number: 8, request: nothing, reply: groupFeatures },
  meter: { number: 9, request: meterNumber, reply: listOf('meters', meterStats) },
  'meter-config': { number: 10, request: meterNumber, reply: listOf('meters', meterConfig) },
  'meter-features': { number: 11, request: nothing, reply: meterFeatures },
  'table-features': {
    number: 12,
    request: listOf('tables', tableFeatures),
    reply: listOf('tables', tableFeatures),
  },
  'port-desc': { number: 13, request: nothing, reply: listOf('ports', port) },
  experimenter: { number: 0xffff, request: experimenter, reply: experimenter },
};

const kindOfNumber = new Map<number, MultipartKind>(
  Object.entries(multipartTypes).map(([kind, { number }]) => [number, kind as MultipartKind]),
);

const MORE = 1;

/** The body of a multipart message, with its header: `be16 type, be16 flags, 4 zeros`. */
function multipart<T extends { readonly more: boolean; readonly body: { kind: MultipartKind } }>(
  direction: 'request' | 'reply',
): Kind<T> {
  return {
    read(from) {
      const number = from.u16();
      const more = (from.u16() & MORE) !== 0;
      from.skip(4);
      const kind = kindOfNumber.get(number);
      if (kind === undefined)
        throw openFlowError('bad-request', 'bad-multipart', `multipart type ${number}`);
      return { more, body: { kind, ...multipartTypes[kind][direction].read(from) } } as T;
    },
    write(to, { more, body }) {
      const type = multipartTypes[body.kind];
      to.u16(type.number);
      to.u16(more ? MORE : 0);
      to.pad(4);
      type[direction].write(to, body as never);
    },
  };
}

/** How the list of such a body is written; undefined when it has none. */
export function listKind(
  kind: MultipartKind,
  direction: 'request' | 'reply',
): ListKind | undefined {
  const found = multipartTypes[kind][direction];
  return 'item' in found ? found : undefined;
}

export const multipartRequest = multipart<{
  readonly more: boolean;
  readonly body: MultipartRequestBody;
}>('request');
export const multipartReply = multipart<{
  readonly more: boolean;
  readonly body: MultipartReplyBody;
}>('reply');
