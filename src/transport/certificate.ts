/**
 * The self-signed certificate of an identity. Only its SubjectPublicKeyInfo means anything (it is what
 * peers pin); names and dates are fixed, so that the certificate says nothing about its owner and never
 * expires by itself (RFC 5280, 4.1.2.5: 99991231235959Z stands for "no expiration").
 */
// tsyringe, which @peculiar/x509 stands on, refuses to load without this polyfill.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { cryptoProvider, X509CertificateGenerator } from '@peculiar/x509';

const ALGORITHM = { name: 'Ed25519' };
const NOT_BEFORE = new Date('2020-01-01T00:00:00Z');
const NOT_AFTER = new Date('9999-12-31T23:59:59Z');

/** A new Ed25519 key (PKCS #8) and its certificate (RFC 8410), both as PEM. */
export async function generateKeyAndCertificate(): Promise<{
  privateKeyPem: string;
  certificatePem: string;
}> {
  cryptoProvider.set(webcrypto as typeof globalThis.crypto);
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=Sojourn',
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: ALGORITHM,
    keys,
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return {
    privateKeyPem: pem('PRIVATE KEY', pkcs8),
    certificatePem: `${certificate.toString('pem').trim()}\n`,
  };
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
