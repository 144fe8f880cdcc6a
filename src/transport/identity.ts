/**
 * Who this place is: an Ed25519 key and a self-signed certificate, in one file `identity.pem` of the
 * state directory, readable by its owner only. Both stand in one file so that no crash can leave one
 * without the other.
 */
import { createHash, createPrivateKey, randomUUID, X509Certificate } from 'node:crypto';
import { type FileHandle, link, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SojournError } from '../common/index.ts';

export const IDENTITY_FILE = 'identity.pem';
/** A key and a certificate take about 600 bytes. */
const MAX_FILE_BYTES = 16 * 1024;

export interface Identity {
  /** Place id: lower-case hex SHA-256 of the certificate's SubjectPublicKeyInfo. */
  readonly id: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** The place id of a certificate, as RFC 7469, 2.4 computes a pin, in hex. */
export function placeIdOf(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex');
}

/**
 * Reads the identity in `directory`, or makes one there on first use. Two processes may do so at the
 * same time: both return the same identity.
 * Errors: `identity-damaged`, `identity-exposed` (others can read it), `identity-unreadable`.
 */
export async function loadOrCreateIdentity(directory: string): Promise<Identity> {
  return (await loadIdentity(directory)) ?? (await createIdentity(directory));
}

/** As `loadOrCreateIdentity`, but `undefined` when there is none yet. */
export async function loadIdentity(directory: string): Promise<Identity | undefined> {
  const path = join(directory, IDENTITY_FILE);
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
  try {
    // fstat of the open file: what is checked is what is read.
    const info = await file.stat();
    if (process.platform !== 'win32' && (info.mode & 0o077) !== 0) throw exposed(path);
    if (!info.isFile() || info.size > MAX_FILE_BYTES) throw damaged(path);
    return parse(await file.readFile('utf8'), path);
  } catch (error) {
    throw error instanceof SojournError ? error : unreadable(path, error);
  } finally {
    await file.close();
  }
}

async function createIdentity(directory: string): Promise<Identity> {
  // Only the first start needs the certificate library; later ones do not pay for loading it.
  const { generateKeyAndCertificate } = await import('./certificate.ts');
  const { privateKeyPem, certificatePem } = await generateKeyAndCertificate();
  const path = join(directory, IDENTITY_FILE);
  const temporary = `${path}.${randomUUID()}`;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(privateKeyPem + certificatePem);
      await file.sync();
    } finally {
      await file.close();
    }
    // link(2), unlike rename(2), fails when another process was first: then its identity stands.
    await link(temporary, path).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error;
    });
  } catch (error) {
    throw new SojournError({
      kind: 'requirement',
      code: 'identity-unwritable',
      message: `The identity of this place cannot be written to ${path}: ${(error as Error).message}`,
      remedy: 'Make the state directory writable for the user who runs the agent',
      cause: error,
    });
  } finally {
    await rm(temporary, { force: true });
  }
  const identity = await loadIdentity(directory);
  if (identity === undefined) throw damaged(path);
  return identity;
}

function parse(text: string, path: string): Identity {
  try {
    const privateKeyPem = block(text, 'PRIVATE KEY');
    const certificatePem = block(text, 'CERTIFICATE');
    const certificate = new X509Certificate(certificatePem);
    const key = createPrivateKey(privateKeyPem);
    if (key.asymmetricKeyType !== 'ed25519' || !certificate.checkPrivateKey(key)) {
      throw new Error('key and certificate do not belong together');
    }
    return { id: placeIdOf(certificate), certificatePem, privateKeyPem };
  } catch (error) {
    throw damaged(path, error);
  }
}

function block(text: string, label: string): string {
  const found = text.match(
    new RegExp(`-----BEGIN ${label}-----\n[A-Za-z0-9+/=\n]+-----END ${label}-----\n`),
  );
  if (found === null) throw new Error(`no ${label} in it`);
  return found[0];
}

function damaged(path: string, cause?: unknown): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'identity-damaged',
    message: `The identity of this place in ${path} is damaged`,
    remedy: 'Restore the file from a backup, or delete it and pair with every other place again',
    cause,
  });
}

function exposed(path: string): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'identity-exposed',
    message: `The private key in ${path} can be read by other users`,
    remedy: `Run "chmod 600 ${path}" if nobody else can have read it; otherwise delete it and pair again`,
  });
}

function unreadable(path: string, cause: unknown): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'identity-unreadable',
    message: `The identity of this place in ${path} cannot be read: ${(cause as Error).message}`,
    remedy: 'Make the file readable for the user who runs the agent',
    cause,
  });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
