/** Where controllers and tools are, in the notation of Open vSwitch (ovsdb(7), "Connection Methods"). */
import { isIP } from 'node:net';
import { checkSocketPath, SojournError } from '../../common/index.ts';

/** IANA's port of OpenFlow. */
export const OPENFLOW_PORT = 6653;

/** Dialled. */
export type ControllerTarget =
  | { readonly type: 'tcp' | 'ssl'; readonly host: string; readonly port: number }
  | { readonly type: 'unix'; readonly path: string };

/** Listened on. */
export type ListenTarget =
  | { readonly type: 'ptcp' | 'pssl'; readonly host: string; readonly port: number }
  | { readonly type: 'punix'; readonly path: string };

/** `tcp:HOST[:PORT]`, `ssl:HOST[:PORT]`, `unix:PATH`; an IPv6 address in brackets. @throws SojournError `openflow-target`. */
export function parseController(text: string): ControllerTarget {
  const [type, rest] = scheme(text);
  if (type === 'unix') return { type, path: socketPath(text, rest) };
  if (type !== 'tcp' && type !== 'ssl') throw bad(text, CONTROLLER_FORMS);
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(rest);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || (match?.[1] !== undefined && isIP(host) !== 6))
    throw bad(text, CONTROLLER_FORMS);
  return { type, host, port: port(text, match?.[3], CONTROLLER_FORMS) };
}

/** `ptcp:[PORT][:ADDRESS]`, `pssl:...`, `punix:PATH` or `unix:PATH`; on the loopback when no address is given. */
export function parseListen(text: string): ListenTarget {
  const [type, rest] = scheme(text);
  if (type === 'unix' || type === 'punix') return { type: 'punix', path: socketPath(text, rest) };
  if (type !== 'ptcp' && type !== 'pssl') throw bad(text, LISTEN_FORMS);
  const match = /^(\d*)(?::(?:\[([^\]]+)\]|([^:[\]]+)))?$/.exec(rest);
  const host = match?.[2] ?? match?.[3] ?? '127.0.0.1';
  if (match === null || isIP(host) === 0) throw bad(text, LISTEN_FORMS);
  return { type, host, port: port(text, match[1] || undefined, LISTEN_FORMS) };
}

export function formatTarget(target: ControllerTarget | ListenTarget): string {
  if (target.type === 'unix' || target.type === 'punix') return `${target.type}:${target.path}`;
  const host = isIP(target.host) === 6 ? `[${target.host}]` : target.host;
  return target.type === 'ptcp' || target.type === 'pssl'
    ? `${target.type}:${target.port}:${host}`
    : `${target.type}:${host}:${target.port}`;
}

const CONTROLLER_FORMS = 'tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH';
const LISTEN_FORMS = 'ptcp:PORT:ADDRESS, pssl:PORT:ADDRESS or unix:PATH';

function scheme(text: string): [string, string] {
  const colon = text.indexOf(':');
  return colon < 0 ? ['', text] : [text.slice(0, colon), text.slice(colon + 1)];
}

function socketPath(text: string, path: string): string {
  if (path === '') throw bad(text, 'unix:PATH');
  checkSocketPath(path);
  return path;
}

function port(text: string, digits: string | undefined, forms: string): number {
  const number = digits === undefined ? OPENFLOW_PORT : Number(digits);
  if (number < 1 || number > 65_535) throw bad(text, forms);
  return number;
}

function bad(text: string, forms: string): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'openflow-target',
    message: `${JSON.stringify(text)} is no place for an OpenFlow connection`,
    remedy: `Write it as ${forms}`,
  });
}
