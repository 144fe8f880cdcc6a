/** Flow, group and meter changes on the wire (OpenFlow 1.3.5, 7.3.4). */
import { openFlowError } from '../errors.ts';
import type { Bucket, FlowMod, GroupMod, GroupType, MeterBand, MeterMod } from '../tables.ts';
import { actions } from './actions.ts';
import { instructions } from './instructions.ts';
import {
  type AnyKind,
  choice,
  flags,
  type Kind,
  layout,
  many,
  rest,
  sized,
  u8,
  u16,
  u32,
  u64,
} from './layout.ts';
import { match } from './oxm.ts';

export const flowMod = layout<FlowMod>()(
  ['cookie', u64],
  ['cookieMask', u64],
  ['table', u8],
  [
    'command',
    choice(u8, ['add', 'modify', 'modify-strict', 'delete', 'delete-strict'], (detail) =>
      openFlowError('flow-mod-failed', 'bad-command', detail),
    ),
  ],
  ['idleTimeout', u16],
  ['hardTimeout', u16],
  ['priority', u16],
  ['buffer', u32],
  ['outPort', u32],
  ['outGroup', u32],
  ['flags', flags(u16, 0x1f, (detail) => openFlowError('flow-mod-failed', 'bad-flags', detail))],
  2,
  ['match', match],
  ['instructions', instructions],
);

export const bucket: Kind<Bucket> = sized(
  layout<Bucket>()(2, ['weight', u16], ['watchPort', u32], ['watchGroup', u32], 4, [
    'actions',
    actions,
  ]),
  0,
  (detail) => openFlowError('group-mod-failed', 'bad-bucket', detail),
  8,
);

export const groupType: Kind<GroupType> = choice(
  u8,
  ['all', 'select', 'indirect', 'fast-failover'],
  (detail) => openFlowError('group-mod-failed', 'bad-type', detail),
);

export const groupMod = layout<GroupMod>()(
  [
    'command',
    choice(u16, ['add', 'modify', 'delete'], (detail) =>
      openFlowError('group-mod-failed', 'bad-command', detail),
    ),
  ],
  ['groupType', groupType],
  1,
  ['group', u32],
  ['buckets', many(bucket)],
);

type BandOf<T extends MeterBand['type']> = Extract<MeterBand, { readonly type: T }>;

/** `ofp_meter_band_type`, and what follows type and length. */
const bandTypes: { readonly [T in MeterBand['type']]: readonly [number, AnyKind] } = {
  drop: [1, layout<BandOf<'drop'>>()(['rate', u32], ['burst', u32], 4)],
  'dscp-remark': [
    2,
    layout<BandOf<'dscp-remark'>>()(['rate', u32], ['burst', u32], ['precedence', u8], 3),
  ],
  experimenter: [
    0xffff,
    layout<BandOf<'experimenter'>>()(
      ['rate', u32],
      ['burst', u32],
      ['experimenter', u32],
      ['data', rest],
    ),
  ],
};

const bandOfNumber = new Map<number, MeterBand['type']>(
  Object.entries(bandTypes).map(([type, [number]]) => [number, type as MeterBand['type']]),
);

export const band: Kind<MeterBand> = sized<MeterBand>(
  {
    read(from) {
      const number = from.u16();
      from.skip(2);
      const type = bandOfNumber.get(number);
      if (type === undefined)
        throw openFlowError('meter-mod-failed', 'bad-band', `a band of type ${number}`);
      return { type, ...bandTypes[type][1].read(from) } as MeterBand;
    },
    write(to, value) {
      const [number, kind] = bandTypes[value.type];
      to.u16(number);
      to.u16(0);
      kind.write(to, value as never);
    },
  },
  2,
  (detail) => openFlowError('bad-request', 'bad-len', detail),
  8,
);

export const meterMod = layout<MeterMod>()(
  [
    'command',
    choice(u16, ['add', 'modify', 'delete'], (detail) =>
      openFlowError('meter-mod-failed', 'bad-command', detail),
    ),
  ],
  ['flags', flags(u16, 0xf, (detail) => openFlowError('meter-mod-failed', 'bad-flags', detail))],
  ['meter', u32],
  ['bands', many(band)],
);
