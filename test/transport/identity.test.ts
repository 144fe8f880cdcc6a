import { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IDENTITY_FILE, loadIdentity, loadOrCreateIdentity } from '../../src/transport/index.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sojourn-identity-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('identity', () => {
  it('is made once, kept, and readable by its owner only', async () => {
    const state = join(directory, 'state');
    expect(await loadIdentity(state)).toBeUndefined();
    const made = await loadOrCreateIdentity(state);
    expect(made.id).toMatch(/^[0-9a-f]{64}$/);
    expect(await loadOrCreateIdentity(state)).toEqual(made);
    expect((await stat(join(state, IDENTITY_FILE))).mode & 0o777).toBe(0o600);
    expect(await readdir(state)).toEqual([IDENTITY_FILE]);
    const certificate = new X509Certificate(made.certificatePem);
    expect(certificate.publicKey.asymmetricKeyType).toBe('ed25519');
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.validTo).toContain('9999');
  });

  it('is the same for processes that make it at the same time', async () => {
    const made = await Promise.all([1, 2, 3, 4].map(() => loadOrCreateIdentity(directory)));
    expect(new Set(made.map((identity) => identity.id)).size).toBe(1);
    expect(await readdir(directory)).toEqual([IDENTITY_FILE]);
  });

  it('is refused when others can read the key', async () => {
    await loadOrCreateIdentity(directory);
    await chmod(join(directory, IDENTITY_FILE), 0o640);
    await expect(loadOrCreateIdentity(directory)).rejects.toMatchObject({
      code: 'identity-exposed',
      remedy: expect.stringContaining('chmod 600'),
    });
  });

  it.each([
    ['empty', () => ''],
    ['cut short', (text: string) => text.slice(0, -40)],
    ['without a key', (text: string) => text.slice(text.indexOf('-----BEGIN CERT'))],
    ['not an identity', () => 'x'.repeat(20_000)],
    ['altered', (text: string) => text.replace(/CERTIFICATE-----\nMII?/, 'CERTIFICATE-----\nAAAA')],
  ])('is refused, not replaced, when the file is %s', async (_name, damage) => {
    await loadOrCreateIdentity(directory);
    const path = join(directory, IDENTITY_FILE);
    const broken = damage(await readFile(path, 'utf8'));
    await writeFile(path, broken);
    await expect(loadOrCreateIdentity(directory)).rejects.toMatchObject({
      code: 'identity-damaged',
    });
    expect(await readFile(path, 'utf8')).toBe(broken);
  });

  it('is refused when key and certificate are of two identities', async () => {
    const one = await loadOrCreateIdentity(join(directory, 'one'));
    const two = await loadOrCreateIdentity(join(directory, 'two'));
    await writeFile(join(directory, 'one', IDENTITY_FILE), one.privateKeyPem + two.certificatePem);
    await expect(loadOrCreateIdentity(join(directory, 'one'))).rejects.toMatchObject({
      code: 'identity-damaged',
    });
  });
});
