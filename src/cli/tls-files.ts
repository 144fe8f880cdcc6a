/** The three files of TLS that OpenFlow commands have, as Open vSwitch has them. */
import { readFile } from 'node:fs/promises';
import { errorText, SojournError } from '../common/index.ts';
import type { TlsFiles } from '../switch/agent/index.ts';
import { usageError } from './output.ts';

export interface TlsFlags {
  readonly privateKey?: string;
  readonly certificate?: string;
  readonly caCert?: string;
}

/** Undefined without any of the three. @throws SojournError `openflow-tls`, `file-missing` */
export async function readTls(flags: TlsFlags): Promise<TlsFiles | undefined> {
  const { privateKey, certificate, caCert } = flags;
  if (privateKey === undefined && certificate === undefined && caCert === undefined)
    return undefined;
  if (privateKey === undefined || certificate === undefined || caCert === undefined)
    throw usageError(
      'openflow-tls',
      'TLS needs a private key, a certificate and the certificate of the authority',
      'Give --private-key, --certificate and --ca-cert',
    );
  const [key, cert, ca] = await Promise.all([privateKey, certificate, caCert].map(readPem));
  return { key, cert, ca } as TlsFiles;
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new SojournError({
      kind: 'not-found',
      code: 'file-missing',
      message: `${path} cannot be read: ${errorText(error)}`,
      cause: error,
    });
  }
}
