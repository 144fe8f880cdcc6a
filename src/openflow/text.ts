/** Messages as one line of text, for logs and tests. */
import type { Action, Instruction } from './actions.ts';
import type { Envelope } from './codec/codec.ts';
import { describeError } from './errors.ts';
import { type FieldName, fieldNames, oxmField } from './fields.ts';
import type { FieldValue, Match, UnknownField } from './match.ts';
import type { ErrorMessage } from './messages.ts';

/** Bytes of packets and other data that are shown. */
const SHOWN_BYTES = 64;

const RESERVED_PORTS: Readonly<Record<number, string>> = {
  4294967288: 'IN_PORT',
  4294967289: 'TABLE',
  4294967290: 'NORMAL',
  4294967291: 'FLOOD',
  4294967292: 'ALL',
  4294967293: 'CONTROLLER',
  4294967294: 'LOCAL',
  4294967295: 'ANY',
};

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

function bytesText(data: Uint8Array): string {
  const shown = Buffer.from(data.subarray(0, SHOWN_BYTES)).toString('hex');
  return data.length > SHOWN_BYTES ? `${shown}..(${data.length})` : shown;
}

function octets(value: bigint, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) =>
    Number((value >> BigInt(8 * (bytes - 1 - i))) & 0xffn),
  );
}

function macText(value: bigint): string {
  return octets(value, 6)
    .map((octet) => octet.toString(16).padStart(2, '0'))
    .join(':');
}

/** RFC 5952: the longest run of two zero groups or more is left out. */
function ipv6Text(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((value >> BigInt(16 * (7 - i))) & 0xffffn).toString(16),
  );
  const text = groups.join(':');
  const runs = [...text.matchAll(/(?:^|:)(0(?::0)+)(?=:|$)/g)].map((found) => found[1] as string);
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  if (longest === '') return text;
  const at = text.search(new RegExp(`(?:^|(?<=:))${longest}(?=:|$)`));
  return `${text.slice(0, at).replace(/:$/, '')}::${text.slice(at + longest.length).replace(/^:/, '')}`;
}

const HEXADECIMAL: ReadonlySet<FieldName> = new Set([
  'eth_type',
  'metadata',
  'vlan_vid',
  'ipv6_flabel',
  'ipv6_exthdr',
  'tunnel_id',
]);

function fieldText(name: FieldName, value: bigint): string {
  const { bits } = oxmField(name);
  if (bits === 48) return macText(value);
  if (bits === 128) return ipv6Text(value);
  if (/^(ipv4|arp_[st]pa)/.test(name)) return octets(value, 4).join('.');
  if (HEXADECIMAL.has(name)) return hex(value);
  return name === 'in_port' ? portText(Number(value)) : String(value);
}

function portText(port: number): string {
  return RESERVED_PORTS[port] ?? String(port);
}

function unknownText({ oxmClass, field, experimenter, value, mask }: UnknownField): string {
  const owner = experimenter === undefined ? '' : `.${hex(experimenter)}`;
  const masked = mask === undefined ? '' : `/${bytesText(mask)}`;
  return `oxm:${hex(oxmClass)}${owner}.${field}=${bytesText(value)}${masked}`;
}

function valueText(name: FieldName, value: FieldValue): string {
  return typeof value === 'bigint'
    ? fieldText(name, value)
    : `${fieldText(name, value.value)}/${fieldText(name, value.mask)}`;
}

/** `in_port=1,eth_type=0x800,ipv4_dst=10.0.0.0/255.0.0.0`; `*` for everything. */
export function formatMatch(match: Match): string {
  const parts = fieldNames.flatMap((name) => {
    const value = match[name];
    return value === undefined ? [] : [`${name}=${valueText(name, value)}`];
  });
  parts.push(...(match.unknown ?? []).map(unknownText));
  return parts.length === 0 ? '*' : parts.join(',');
}

export function formatAction(action: Action): string {
  switch (action.type) {
    case 'set-field':
      return `set-field:${action.field}=${fieldText(action.field, action.value)}`;
    case 'set-unknown-field':
      return `set-field:${unknownText(action.field)}`;
    case 'output': {
      const length = action.maxLength === undefined ? '' : `:${action.maxLength}`;
      return `output:${portText(action.port)}${action.port === 0xfffffffd ? length : ''}`;
    }
    case 'experimenter':
      return `experimenter:${hex(action.experimenter)}:${bytesText(action.data)}`;
    default: {
      const { type, ...values } = action;
      return [type, ...Object.entries(values).map(([key, value]) => scalarText(key, value))].join(
        ':',
      );
    }
  }
}

function formatActions(actions: readonly Action[]): string {
  return `[${actions.map(formatAction).join(' ')}]`;
}

export function formatInstruction(instruction: Instruction): string {
  switch (instruction.type) {
    case 'write-actions':
    case 'apply-actions':
      return `${instruction.type}${formatActions(instruction.actions)}`;
    case 'write-metadata':
      return `write-metadata:${hex(instruction.value)}/${hex(instruction.mask)}`;
    case 'goto-table':
      return `goto-table:${instruction.table}`;
    case 'meter':
      return `meter:${instruction.meter}`;
    case 'experimenter':
      return `experimenter:${hex(instruction.experimenter)}:${bytesText(instruction.data)}`;
    case 'clear-actions':
      return instruction.type;
  }
}

const PORT_KEYS: ReadonlySet<string> = new Set([
  'inPort',
  'outPort',
  'port',
  'watchPort',
  'number',
]);
const HEX_KEYS =
  /^(cookie|cookieMask|buffer|flags|ethType|datapathId|generation|capabilities|config|state|mask|metadata.*|header|experimenter.*|types|bandTypes)$/;
const MAC_KEYS: ReadonlySet<string> = new Set(['hardwareAddress']);

function scalarText(key: string, value: unknown): string {
  if (value instanceof Uint8Array) return bytesText(value);
  if (typeof value === 'bigint' && MAC_KEYS.has(key)) return macText(value);
  if (typeof value === 'number' && PORT_KEYS.has(key)) return portText(value);
  if ((typeof value === 'number' || typeof value === 'bigint') && HEX_KEYS.test(key))
    return hex(value);
  if (typeof value === 'string' && /[\s=,[\]{}]|[^ -~]|^$/.test(value))
    return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (key === 'match') return `{${formatMatch(value as Match)}}`;
  if (key === 'actions' && hasTypes(value)) return formatActions(value as Action[]);
  if (key === 'instructions' && hasTypes(value))
    return `[${(value as Instruction[]).map(formatInstruction).join(' ')}]`;
  if (Array.isArray(value))
    return `[${value.map((item) => scalarText('', item)).join(typeof value[0] === 'object' ? ' ' : ',')}]`;
  return `{${objectText(value)}}`;
}

function hasTypes(value: object): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'object' && 'type' in item);
}

function objectText(value: object): string {
  return Object.entries(value)
    .map(([key, part]) => `${key}=${scalarText(key, part)}`)
    .join(' ');
}

function errorText(error: ErrorMessage): string {
  const { errorType, code, experimenter, data } = error;
  const owner = experimenter === undefined ? '' : ` experimenter=${hex(experimenter)}`;
  return `${describeError(errorType, code)}${owner} data=${bytesText(data)}`;
}

/** `flow-mod xid=0x1 command=add ...`: everything of the message but long data. */
export function formatMessage({ xid, message }: Envelope): string {
  const { type, ...fields } = message;
  const text = message.type === 'error' ? errorText(message) : objectText(fields);
  return `${type} xid=${hex(xid)}${text === '' ? '' : ` ${text}`}`;
}
