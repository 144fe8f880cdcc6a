/** Messages of every kind for property tests; what they hold is what survives the wire unchanged. */
import fc, { type Arbitrary } from 'fast-check';
import {
  type Action,
  type FieldName,
  type FieldValue,
  fieldMask,
  fieldNames,
  type Instruction,
  type Match,
  type Message,
  type MultipartReplyBody,
  type MultipartRequestBody,
  oxmField,
  type UnknownField,
} from '../../src/openflow/index.ts';

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const mac = fc.bigInt({ min: 0n, max: (1n << 48n) - 1n });
const bytes = (max = 40) => fc.uint8Array({ maxLength: max });
const name = (max: number) =>
  fc.stringMatching(/^[ -~]*$/, { maxLength: max }).map((text) => text.slice(0, max));
const constant = <T extends string>(value: T): Arbitrary<T> => fc.constant(value);
const oneOf = <const T extends string>(...values: T[]): Arbitrary<T> => fc.constantFrom(...values);
const list = <T>(item: Arbitrary<T>, maxLength = 4) => fc.array(item, { maxLength });

function anyValue(field: FieldName): Arbitrary<bigint> {
  return fc.bigInt({ min: 0n, max: fieldMask(field) });
}

function anyMasked(field: FieldName): Arbitrary<FieldValue> {
  const all = fieldMask(field);
  if (!oxmField(field).maskable) return anyValue(field);
  return fc
    .record({ value: anyValue(field), mask: fc.bigInt({ min: 1n, max: all }) })
    .map(({ value, mask }) => (mask === all ? value : { value: value & mask, mask }));
}

const unknownField: Arbitrary<UnknownField> = fc
  .record({
    oxmClass: fc.constantFrom(0, 1, 0x8000, 0xffff),
    field: fc.integer({ min: 40, max: 127 }),
    experimenter: u32,
    value: fc.uint8Array({ maxLength: 16 }),
    masked: fc.boolean(),
  })
  .map(({ oxmClass, field, experimenter, value, masked }) => ({
    oxmClass,
    field,
    ...(oxmClass === 0xffff ? { experimenter } : {}),
    value,
    ...(masked ? { mask: value.map((byte) => byte | 1) } : {}),
  }));

/** Some of the fields, and then of those only such whose prerequisites are there. */
export const match: Arbitrary<Match> = fc
  .record({
    ethType: fc.constantFrom(0x800n, 0x806n, 0x86ddn, 0x8847n, 0x88e7n),
    protocol: fc.constantFrom(1n, 6n, 17n, 58n, 132n),
    icmpv6: fc.constantFrom(128n, 135n, 136n),
    chosen: fc.subarray(fieldNames),
    unknown: fc.uniqueArray(unknownField, {
      maxLength: 2,
      selector: ({ oxmClass, field, experimenter }) => `${oxmClass}.${experimenter}.${field}`,
    }),
    values: fc.record(
      Object.fromEntries(fieldNames.map((field) => [field, anyMasked(field)])) as Record<
        FieldName,
        Arbitrary<FieldValue>
      >,
    ),
  })
  .map(({ ethType, protocol, icmpv6, chosen, values, unknown }) => {
    const made: { [Name in FieldName]?: FieldValue } = {};
    const given = { ...values, eth_type: ethType, ip_proto: protocol, icmpv6_type: icmpv6 };
    for (const field of fieldNames) {
      const met = oxmField(field).requires.every((wanted) => {
        const value = made[wanted.field as FieldName];
        if (value === undefined) return false;
        const number = Number(typeof value === 'bigint' ? value : value.value);
        if ('oneOf' in wanted) return wanted.oneOf.includes(number);
        return !('not' in wanted) || number !== wanted.not;
      });
      if (met && chosen.includes(field)) made[field] = given[field];
    }
    return unknown.length === 0 ? made : { ...made, unknown };
  });

const aligned = fc.nat(4).chain((words) => {
  const length = 8 * words;
  return fc.uint8Array({ minLength: length, maxLength: length });
});

export const action: Arbitrary<Action> = fc.oneof(
  fc.record({ type: constant('output'), port: u32, maxLength: u16 }),
  fc.record({
    type: oneOf('copy-ttl-out', 'copy-ttl-in', 'dec-mpls-ttl', 'pop-vlan', 'dec-nw-ttl', 'pop-pbb'),
  }),
  fc.record({ type: oneOf('set-mpls-ttl', 'set-nw-ttl'), ttl: u8 }),
  fc.record({ type: oneOf('push-vlan', 'push-mpls', 'pop-mpls', 'push-pbb'), ethType: u16 }),
  fc.record({ type: constant('set-queue'), queue: u32 }),
  fc.record({ type: constant('group'), group: u32 }),
  fc
    .constantFrom(...fieldNames)
    .chain((field) =>
      fc.record({ type: constant('set-field'), field: fc.constant(field), value: anyValue(field) }),
    ),
  fc.record({ type: constant('set-unknown-field'), field: unknownField }),
  fc.record({ type: constant('experimenter'), experimenter: u32, data: aligned }),
);
const actions = list(action);

export const instructions: Arbitrary<Instruction[]> = fc.uniqueArray(
  fc.oneof(
    fc.record({ type: constant('goto-table'), table: u8 }),
    fc.record({ type: constant('write-metadata'), value: u64, mask: u64 }),
    fc.record({ type: oneOf('write-actions', 'apply-actions'), actions }),
    fc.record({ type: constant('clear-actions') }),
    fc.record({ type: constant('meter'), meter: u32 }),
    fc.record({ type: constant('experimenter'), experimenter: u32, data: aligned }),
  ),
  { selector: ({ type }) => type, maxLength: 6 },
);

const groupType = oneOf('all', 'select', 'indirect', 'fast-failover');
const bucket = fc.record({ weight: u16, watchPort: u32, watchGroup: u32, actions });
const band = fc.oneof(
  fc.record({ type: constant('drop'), rate: u32, burst: u32 }),
  fc.record({ type: constant('dscp-remark'), rate: u32, burst: u32, precedence: u8 }),
  fc.record({
    type: constant('experimenter'),
    rate: u32,
    burst: u32,
    experimenter: u32,
    data: aligned,
  }),
);
const meterFlags = fc.integer({ min: 0, max: 15 });
const port = fc.record({
  number: u32,
  hardwareAddress: mac,
  name: name(15),
  config: u32,
  state: u32,
  current: u32,
  advertised: u32,
  supported: u32,
  peer: u32,
  currentSpeed: u32,
  maxSpeed: u32,
});
const duration = { durationSeconds: u32, durationNanoseconds: u32 };
const counts = { packets: u64, bytes: u64 };
const selection = {
  table: u8,
  outPort: u32,
  outGroup: u32,
  cookie: u64,
  cookieMask: u64,
  match,
};
const experimenter = fc.record({
  kind: constant('experimenter'),
  experimenter: u32,
  experimenterType: u32,
  data: bytes(),
});

const featureField = fc.oneof(
  fc.record({ name: fc.constantFrom(...fieldNames), hasMask: fc.boolean() }),
  fc.record({ name: constant('unknown'), header: fc.integer({ min: 0, max: 0x1ffff }) }),
  fc.record({
    name: constant('unknown'),
    header: fc.integer({ min: 0xffff0000, max: 0xffffffff }),
    experimenter: u32,
  }),
);
const featureExperimenter = fc.record({
  name: constant('experimenter'),
  experimenter: u32,
  data: bytes(),
});
const property = fc.oneof(
  fc.record({
    type: constant('instructions'),
    miss: fc.boolean(),
    instructions: list(
      fc.oneof(
        fc.record({ name: oneOf('goto-table', 'write-metadata', 'apply-actions', 'meter') }),
        fc.record({ name: constant('unknown'), id: fc.integer({ min: 100, max: 200 }) }),
        featureExperimenter,
      ),
    ),
  }),
  fc.record({ type: constant('next-tables'), miss: fc.boolean(), tables: list(u8, 20) }),
  fc.record({
    type: oneOf('write-actions', 'apply-actions'),
    miss: fc.boolean(),
    actions: list(
      fc.oneof(fc.record({ name: oneOf('output', 'set-field', 'pop-pbb') }), featureExperimenter),
    ),
  }),
  fc.record({ type: oneOf('match', 'wildcards'), fields: list(featureField, 20) }),
  fc.record({
    type: oneOf('write-set-field', 'apply-set-field'),
    miss: fc.boolean(),
    fields: list(featureField, 20),
  }),
  fc.record({
    type: constant('experimenter'),
    miss: fc.boolean(),
    experimenter: u32,
    experimenterType: u32,
    data: bytes(),
  }),
);
const tables = list(
  fc.record({
    table: u8,
    name: name(31),
    metadataMatch: u64,
    metadataWrite: u64,
    config: u32,
    maxEntries: u32,
    properties: list(property),
  }),
);

const requestBody: Arbitrary<MultipartRequestBody> = fc.oneof(
  fc.record({
    kind: oneOf('desc', 'table', 'group-desc', 'group-features', 'meter-features', 'port-desc'),
  }),
  fc.record({ kind: oneOf('flow', 'aggregate'), ...selection }),
  fc.record({ kind: constant('port-stats'), port: u32 }),
  fc.record({ kind: constant('queue'), port: u32, queue: u32 }),
  fc.record({ kind: constant('group'), group: u32 }),
  fc.record({ kind: oneOf('meter', 'meter-config'), meter: u32 }),
  fc.record({ kind: constant('table-features'), tables }),
  experimenter,
);

const portCounters = fc.record({
  port: u32,
  rxPackets: u64,
  txPackets: u64,
  rxBytes: u64,
  txBytes: u64,
  rxDropped: u64,
  txDropped: u64,
  rxErrors: u64,
  txErrors: u64,
  rxFrameErrors: u64,
  rxOverrunErrors: u64,
  rxCrcErrors: u64,
  collisions: u64,
  ...duration,
});
const flowStats = fc.record({
  table: u8,
  ...duration,
  priority: u16,
  idleTimeout: u16,
  hardTimeout: u16,
  flags: u16,
  cookie: u64,
  ...counts,
  match,
  instructions,
});
const four = fc.array(u32, { minLength: 4, maxLength: 4 });

export const replyBody: Arbitrary<MultipartReplyBody> = fc.oneof(
  fc.record({
    kind: constant('desc'),
    manufacturer: name(255),
    hardware: name(255),
    software: name(255),
    serial: name(31),
    datapath: name(255),
  }),
  fc.record({ kind: constant('flow'), flows: list(flowStats) }),
  fc.record({ kind: constant('aggregate'), ...counts, flows: u32 }),
  fc.record({
    kind: constant('table'),
    tables: list(fc.record({ table: u8, active: u32, lookups: u64, matched: u64 })),
  }),
  fc.record({ kind: constant('port-stats'), ports: list(portCounters) }),
  fc.record({
    kind: constant('queue'),
    queues: list(
      fc.record({
        port: u32,
        queue: u32,
        txBytes: u64,
        txPackets: u64,
        txErrors: u64,
        ...duration,
      }),
    ),
  }),
  fc.record({
    kind: constant('group'),
    groups: list(
      fc.record({
        group: u32,
        references: u32,
        ...counts,
        ...duration,
        buckets: list(fc.record(counts)),
      }),
    ),
  }),
  fc.record({
    kind: constant('group-desc'),
    groups: list(fc.record({ groupType, group: u32, buckets: list(bucket) })),
  }),
  fc.record({
    kind: constant('group-features'),
    types: u32,
    capabilities: u32,
    maxGroups: four,
    actions: four,
  }),
  fc.record({
    kind: constant('meter'),
    meters: list(
      fc.record({
        meter: u32,
        flows: u32,
        ...counts,
        ...duration,
        bands: list(fc.record(counts)),
      }),
    ),
  }),
  fc.record({
    kind: constant('meter-config'),
    meters: list(fc.record({ flags: meterFlags, meter: u32, bands: list(band) })),
  }),
  fc.record({
    kind: constant('meter-features'),
    maxMeters: u32,
    bandTypes: u32,
    capabilities: u32,
    maxBands: u8,
    maxColors: u8,
  }),
  fc.record({ kind: constant('table-features'), tables }),
  fc.record({ kind: constant('port-desc'), ports: list(port) }),
  experimenter,
);

const role = oneOf('nochange', 'equal', 'master', 'slave');
const asyncMask = fc.record({ master: u32, slave: u32 });

export const message: Arbitrary<Message> = fc.oneof(
  fc.record({
    type: constant('hello'),
    version: fc.integer({ min: 4, max: 255 }),
    versions: fc
      .uniqueArray(u8, { maxLength: 5 })
      .map((versions) => versions.sort((a, b) => a - b)),
  }),
  fc.record({
    type: constant('error'),
    errorType: fc.integer({ min: 0, max: 0xfffe }),
    code: u16,
    data: bytes(80),
  }),
  fc.record({
    type: constant('error'),
    errorType: fc.constant(0xffff),
    code: u16,
    experimenter: u32,
    data: bytes(80),
  }),
  fc.record({ type: oneOf('echo-request', 'echo-reply'), data: bytes() }),
  fc.record({
    type: constant('experimenter'),
    experimenter: u32,
    experimenterType: u32,
    data: bytes(),
  }),
  fc.record({
    type: oneOf(
      'features-request',
      'get-config-request',
      'barrier-request',
      'barrier-reply',
      'get-async-request',
    ),
  }),
  fc.record({
    type: constant('features-reply'),
    datapathId: u64,
    buffers: u32,
    tables: u8,
    auxiliary: u8,
    capabilities: u32,
  }),
  fc.record({ type: oneOf('get-config-reply', 'set-config'), flags: u16, missSendLength: u16 }),
  fc.record({
    type: constant('packet-in'),
    buffer: u32,
    totalLength: u16,
    reason: oneOf('no-match', 'action', 'invalid-ttl'),
    table: u8,
    cookie: u64,
    match,
    data: bytes(),
  }),
  fc.record({
    type: constant('flow-removed'),
    cookie: u64,
    priority: u16,
    reason: oneOf('idle-timeout', 'hard-timeout', 'delete', 'group-delete'),
    table: u8,
    ...duration,
    idleTimeout: u16,
    hardTimeout: u16,
    ...counts,
    match,
  }),
  fc.record({ type: constant('port-status'), reason: oneOf('add', 'delete', 'modify'), port }),
  fc.record({ type: constant('packet-out'), buffer: u32, inPort: u32, actions, data: bytes() }),
  fc.record({
    type: constant('flow-mod'),
    command: oneOf('add', 'modify', 'modify-strict', 'delete', 'delete-strict'),
    cookie: u64,
    cookieMask: u64,
    table: u8,
    idleTimeout: u16,
    hardTimeout: u16,
    priority: u16,
    buffer: u32,
    outPort: u32,
    outGroup: u32,
    flags: fc.integer({ min: 0, max: 31 }),
    match,
    instructions,
  }),
  fc.record({
    type: constant('group-mod'),
    command: oneOf('add', 'modify', 'delete'),
    groupType,
    group: u32,
    buckets: list(bucket),
  }),
  fc.record({
    type: constant('port-mod'),
    port: u32,
    hardwareAddress: mac,
    config: u32,
    mask: u32,
    advertise: u32,
  }),
  fc.record({ type: constant('table-mod'), table: u8, config: u32 }),
  fc.record({ type: constant('multipart-request'), more: fc.boolean(), body: requestBody }),
  fc.record({ type: constant('multipart-reply'), more: fc.boolean(), body: replyBody }),
  fc.record({ type: constant('queue-get-config-request'), port: u32 }),
  fc.record({
    type: constant('queue-get-config-reply'),
    port: u32,
    queues: list(
      fc.record({
        queue: u32,
        port: u32,
        properties: list(
          fc.oneof(
            fc.record({ type: oneOf('min-rate', 'max-rate'), rate: u16 }),
            fc.record({ type: constant('experimenter'), experimenter: u32, data: bytes() }),
          ),
        ),
      }),
    ),
  }),
  fc.record({ type: oneOf('role-request', 'role-reply'), role, generation: u64 }),
  fc.record({
    type: oneOf('get-async-reply', 'set-async'),
    packetIn: asyncMask,
    portStatus: asyncMask,
    flowRemoved: asyncMask,
  }),
  fc.record({
    type: constant('meter-mod'),
    command: oneOf('add', 'modify', 'delete'),
    flags: meterFlags,
    meter: u32,
    bands: list(band),
  }),
);
