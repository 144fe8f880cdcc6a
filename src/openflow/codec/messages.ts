/** What follows the header of each message (OpenFlow 1.3.5, 7.3 to 7.5). */
import { EXPERIMENTER_ERROR, openFlowError } from '../errors.ts';
import type {
  AsyncConfig,
  AsyncMask,
  ErrorMessage,
  MessageOf,
  MessageType,
  PacketOut,
  PacketQueue,
  QueueProperty,
  Role,
  RoleClaim,
  SwitchConfig,
} from '../messages.ts';
import { actions } from './actions.ts';
import { hello } from './hello.ts';
import {
  type AnyKind,
  choice,
  type Kind,
  layout,
  mac,
  many,
  rest,
  sized,
  u8,
  u16,
  u32,
  u64,
} from './layout.ts';
import { multipartReply, multipartRequest, port } from './multipart.ts';
import { match } from './oxm.ts';
import { flowMod, groupMod, meterMod } from './tables.ts';
import type { LengthError } from './wire.ts';

export const lengthError: LengthError = (detail) => openFlowError('bad-request', 'bad-len', detail);
const unknownReason = (detail: string) => openFlowError('bad-request', 'bad-type', detail);

const error: Kind<ErrorMessage> = {
  read(from) {
    const errorType = from.u16();
    const code = from.u16();
    if (errorType !== EXPERIMENTER_ERROR)
      return { type: 'error', errorType, code, data: from.rest() };
    return { type: 'error', errorType, code, experimenter: from.u32(), data: from.rest() };
  },
  write(to, value) {
    to.u16(value.errorType);
    to.u16(value.code);
    if (value.errorType === EXPERIMENTER_ERROR) to.u32(value.experimenter ?? 0);
    to.bytes(value.data);
  },
};

const config = layout<SwitchConfig>()(['flags', u16], ['missSendLength', u16]);

const packetOut: Kind<PacketOut> = {
  read(from) {
    const buffer = from.u32();
    const inPort = from.u32();
    const length = from.u16();
    from.skip(6);
    const list = actions.read(from.part(length));
    return { type: 'packet-out', buffer, inPort, actions: list, data: from.rest() };
  },
  write(to, value) {
    to.u32(value.buffer);
    to.u32(value.inPort);
    const at = to.length;
    to.pad(8);
    actions.write(to, value.actions);
    to.patch16(at, to.length - at - 8);
    to.bytes(value.data);
  },
};

type PropertyOf<T extends QueueProperty['type']> = Extract<QueueProperty, { readonly type: T }>;

const rate = layout<PropertyOf<'min-rate'>>()(['rate', u16], 6);
/** `ofp_queue_properties`, and what follows the header of 8 bytes. */
const queueProperties: {
  readonly [T in QueueProperty['type']]: readonly [number, AnyKind];
} = {
  'min-rate': [1, rate],
  'max-rate': [2, rate],
  experimenter: [
    0xffff,
    layout<PropertyOf<'experimenter'>>()(['experimenter', u32], 4, ['data', rest]),
  ],
};

const queueProperty: Kind<QueueProperty> = sized<QueueProperty>(
  {
    read(from) {
      const number = from.u16();
      from.skip(6);
      const found = Object.entries(queueProperties).find(([, [id]]) => id === number);
      if (found === undefined) throw unknownReason(`queue property ${number}`);
      return { type: found[0], ...found[1][1].read(from) } as QueueProperty;
    },
    write(to, value) {
      const [number, kind] = queueProperties[value.type];
      to.u16(number);
      to.pad(6);
      kind.write(to, value as never);
    },
  },
  2,
  lengthError,
);

const queue = sized(
  layout<PacketQueue>()(['queue', u32], ['port', u32], 8, ['properties', many(queueProperty)]),
  8,
  lengthError,
);

const role = layout<RoleClaim>()(
  [
    'role',
    choice<Role>(u32, ['nochange', 'equal', 'master', 'slave'], (detail) =>
      openFlowError('role-request-failed', 'bad-role', detail),
    ),
  ],
  4,
  ['generation', u64],
);

const asyncMask = layout<AsyncMask>()(['master', u32], ['slave', u32]);
const asyncConfig = layout<AsyncConfig>()(
  ['packetIn', asyncMask],
  ['portStatus', asyncMask],
  ['flowRemoved', asyncMask],
);

const echo = layout<MessageOf<'echo-request'>>()(['data', rest]);
const empty = layout<object>()();

/** Every message in the order of `ofp_type`. */
const messages: { readonly [T in MessageType]: AnyKind } = {
  hello,
  error,
  'echo-request': echo,
  'echo-reply': echo,
  experimenter: layout<MessageOf<'experimenter'>>()(
    ['experimenter', u32],
    ['experimenterType', u32],
    ['data', rest],
  ),
  'features-request': empty,
  'features-reply': layout<MessageOf<'features-reply'>>()(
    ['datapathId', u64],
    ['buffers', u32],
    ['tables', u8],
    ['auxiliary', u8],
    2,
    ['capabilities', u32],
    4,
  ),
  'get-config-request': empty,
  'get-config-reply': config,
  'set-config': config,
  'packet-in': layout<MessageOf<'packet-in'>>()(
    ['buffer', u32],
    ['totalLength', u16],
    ['reason', choice(u8, ['no-match', 'action', 'invalid-ttl'], unknownReason)],
    ['table', u8],
    ['cookie', u64],
    ['match', match],
    2,
    ['data', rest],
  ),
  'flow-removed': layout<MessageOf<'flow-removed'>>()(
    ['cookie', u64],
    ['priority', u16],
    [
      'reason',
      choice(u8, ['idle-timeout', 'hard-timeout', 'delete', 'group-delete'], unknownReason),
    ],
    ['table', u8],
    ['durationSeconds', u32],
    ['durationNanoseconds', u32],
    ['idleTimeout', u16],
    ['hardTimeout', u16],
    ['packets', u64],
    ['bytes', u64],
    ['match', match],
  ),
  'port-status': layout<MessageOf<'port-status'>>()(
    ['reason', choice(u8, ['add', 'delete', 'modify'], unknownReason)],
    7,
    ['port', port],
  ),
  'packet-out': packetOut,
  'flow-mod': flowMod,
  'group-mod': groupMod,
  'port-mod': layout<MessageOf<'port-mod'>>()(
    ['port', u32],
    4,
    ['hardwareAddress', mac],
    2,
    ['config', u32],
    ['mask', u32],
    ['advertise', u32],
    4,
  ),
  'table-mod': layout<MessageOf<'table-mod'>>()(['table', u8], 3, ['config', u32]),
  'multipart-request': multipartRequest,
  'multipart-reply': multipartReply,
  'barrier-request': empty,
  'barrier-reply': empty,
  'queue-get-config-request': layout<MessageOf<'queue-get-config-request'>>()(['port', u32], 4),
  'queue-get-config-reply': layout<MessageOf<'queue-get-config-reply'>>()(['port', u32], 4, [
    'queues',
    many(queue),
  ]),
  'role-request': role,
  'role-reply': role,
  'get-async-request': empty,
  'get-async-reply': asyncConfig,
  'set-async': asyncConfig,
  'meter-mod': meterMod,
};

export const messageTypes = Object.keys(messages) as MessageType[];

export function messageKind(type: MessageType): AnyKind {
  return messages[type];
}
