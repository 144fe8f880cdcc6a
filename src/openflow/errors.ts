/** Error types and codes (OpenFlow 1.3.5, 7.4.4), and the error that carries one to the peer. */

const list = <const Names extends readonly string[]>(
  ...names: Names
): { readonly [Name in Names[number]]: number } =>
  Object.fromEntries(names.map((name, code) => [name, code])) as {
    [Name in Names[number]]: number;
  };

/** By type in the order of their numbers, each with its codes in the order of theirs. */
export const errorCodes = {
  'hello-failed': list('incompatible', 'eperm'),
  'bad-request': list(
    'bad-version',
    'bad-type',
    'bad-multipart',
    'bad-experimenter',
    'bad-exp-type',
    'eperm',
    'bad-len',
    'buffer-empty',
    'buffer-unknown',
    'bad-table-id',
    'is-slave',
    'bad-port',
    'bad-packet',
    'multipart-buffer-overflow',
  ),
  'bad-action': list(
    'bad-type',
    'bad-len',
    'bad-experimenter',
    'bad-exp-type',
    'bad-out-port',
    'bad-argument',
    'eperm',
    'too-many',
    'bad-queue',
    'bad-out-group',
    'match-inconsistent',
    'unsupported-order',
    'bad-tag',
    'bad-set-type',
    'bad-set-len',
    'bad-set-argument',
  ),
  'bad-instruction': list(
    'unknown-inst',
    'unsup-inst',
    'bad-table-id',
    'unsup-metadata',
    'unsup-metadata-mask',
    'bad-experimenter',
    'bad-exp-type',
    'bad-len',
    'eperm',
  ),
  'bad-match': list(
    'bad-type',
    'bad-len',
    'bad-tag',
    'bad-dl-addr-mask',
    'bad-nw-addr-mask',
    'bad-wildcards',
    'bad-field',
    'bad-value',
    'bad-mask',
    'bad-prereq',
    'dup-field',
    'eperm',
  ),
  'flow-mod-failed': list(
    'unknown',
    'table-full',
    'bad-table-id',
    'overlap',
    'eperm',
    'bad-timeout',
    'bad-command',
    'bad-flags',
  ),
  'group-mod-failed': list(
    'group-exists',
    'invalid-group',
    'weight-unsupported',
    'out-of-groups',
    'out-of-buckets',
    'chaining-unsupported',
    'watch-unsupported',
    'loop',
    'unknown-group',
    'chained-group',
    'bad-type',
    'bad-command',
    'bad-bucket',
    'bad-watch',
    'eperm',
  ),
  'port-mod-failed': list('bad-port', 'bad-hw-addr', 'bad-config', 'bad-advertise', 'eperm'),
  'table-mod-failed': list('bad-table', 'bad-config', 'eperm'),
  'queue-op-failed': list('bad-port', 'bad-queue', 'eperm'),
  'switch-config-failed': list('bad-flags', 'bad-len', 'eperm'),
  'role-request-failed': list('stale', 'unsup', 'bad-role'),
  'meter-mod-failed': list(
    'unknown',
    'meter-exists',
    'invalid-meter',
    'unknown-meter',
    'bad-command',
    'bad-flags',
    'bad-rate',
    'bad-burst',
    'bad-band',
    'bad-band-value',
    'out-of-meters',
    'out-of-bands',
  ),
  'table-features-failed': list(
    'bad-table',
    'bad-metadata',
    'bad-type',
    'bad-len',
    'bad-argument',
    'eperm',
  ),
} as const;

export type ErrorType = keyof typeof errorCodes;
export type ErrorCode<T extends ErrorType> = keyof (typeof errorCodes)[T] & string;

const typeNames = Object.keys(errorCodes) as ErrorType[];

/** `errorType` of an error whose code an experimenter defines. */
export const EXPERIMENTER_ERROR = 0xffff;
/** The experimenter number of the ONF, whose extensions of 1.3 name errors that the specification itself lacks. */
export const ONF = 0x4f4e4600;

/** What the peer is answered with an error message for. */
export class OpenFlowError extends Error {
  readonly errorType: number;
  readonly code: number;
  /** With type `EXPERIMENTER_ERROR`: whose code it is. */
  readonly experimenter: number | undefined;

  constructor(errorType: number, code: number, detail: string, experimenter?: number) {
    super(`${describeError(errorType, code)}: ${detail}`);
    this.name = 'OpenFlowError';
    this.errorType = errorType;
    this.code = code;
    this.experimenter = experimenter;
  }
}

/** @param detail what is wrong, for the log; it is not sent. */
export function openFlowError<T extends ErrorType>(
  type: T,
  code: ErrorCode<T>,
  detail: string,
): OpenFlowError {
  const codes: Readonly<Record<string, number>> = errorCodes[type];
  return new OpenFlowError(typeNames.indexOf(type), codes[code] as number, detail);
}

const onfCodes = { 'duplicate-instruction': 2600, 'set-field-mask': 4250 } as const;

/** An error of the ONF's extensions EXT-260 and EXT-425, which Open vSwitch sends as well. */
export function onfError(code: keyof typeof onfCodes, detail: string): OpenFlowError {
  return new OpenFlowError(EXPERIMENTER_ERROR, onfCodes[code], detail, ONF);
}

/** `bad-request/bad-len`; numbers where there is no name. */
export function describeError(errorType: number, code: number): string {
  const name = typeNames[errorType];
  if (name === undefined)
    return `${errorType === EXPERIMENTER_ERROR ? 'experimenter' : errorType}/${code}`;
  const codes: Readonly<Record<string, number>> = errorCodes[name];
  return `${name}/${Object.keys(codes)[code] ?? code}`;
}
