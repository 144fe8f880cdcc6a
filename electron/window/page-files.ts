/** Which file of the built window an address stands for. */
import { extname, join, normalize, sep } from 'node:path';

export const SCHEME = 'app';
export const PAGE_ORIGIN = `${SCHEME}://sojourn`;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

/** Undefined for what is not below the directory, or no file of a page. */
export function fileOf(
  address: string,
  directory: string,
): { readonly path: string; readonly type: string } | undefined {
  if (!URL.canParse(address)) return undefined;
  const url = new URL(address);
  if (`${url.protocol}//${url.host}` !== PAGE_ORIGIN) return undefined;
  let name: string;
  try {
    name = decodeURIComponent(url.pathname);
  } catch {
    return undefined;
  }
  if (name.includes('\0') || name.includes('\\')) return undefined;
  const path = normalize(join(directory, name === '/' ? 'index.html' : name));
  const type = types[extname(path)];
  if (type === undefined || !path.startsWith(directory + sep)) return undefined;
  return { path, type };
}
