/**
 * Invites: how a device and a site that have never met come to trust one another's keys.
 *
 *   invite = "sojourn1." base64url(JSON {hosts, port, id, secret, expires, name})
 *
 * `id` is the site's place id: the device knows whom it talks to before it says anything. `secret` (128
 * random bits) never crosses the network. The device shows that it knows it with
 *
 *   invite id = SHA-256("sojourn invite id" || secret)
 *   key       = SHA-256("sojourn invite key" || secret)
 *   proof     = HMAC-SHA256(key, exporter || device id || site id)
 *
 * where `exporter` is bound to this one TLS connection (RFC 8446, 7.5; RFC 5705), so that a proof is of no
 * use on another. The site keeps invite id and key only. Whether an invite has expired is decided by the
 * site's clock alone.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { z } from 'zod';
import { plainText, SojournError } from '../common/index.ts';
import { placeId } from '../guest/spec.ts';
import type { PlaceInfo } from './hello.ts';
import type { Identity } from './identity.ts';

const PREFIX = 'sojourn1.';
const SECRET_BYTES = 16;
/** Characters; with eight long host names an invite has fewer. */
const MAX_INVITE_LENGTH = 4096;
const EXPORTER_LABEL = 'EXPORTER-sojourn-pair';

const hosts = z
  .array(
    z
      .string()
      .min(1)
      .max(253)
      .regex(/^[A-Za-z0-9._:%-]+$/),
  )
  .min(1)
  .max(8);
const port = z.int().min(1).max(65_535);

const inviteSchema = z.object({
  /** Names or addresses of the site; all are tried. */
  hosts,
  port,
  id: placeId,
  secret: z
    .string()
    .regex(/^[A-Za-z0-9_-]{22}$/)
    .refine((text) => Buffer.from(text, 'base64url').length === SECRET_BYTES),
  /** For people; the site's clock decides. */
  expires: z.iso.datetime(),
  /** What the site calls itself. */
  name: z.string().min(1).max(64).transform(plainText),
});
export type Invite = z.infer<typeof inviteSchema>;

/** What a site keeps of an invite it has given out. */
export interface PendingInvite {
  /** Hex; from the secret, but says nothing about it. */
  readonly id: string;
  /** Hex; as good as the secret: keep it from others. */
  readonly key: string;
  /** Ms since 1970. */
  readonly expiresAt: number;
  /** Place id of who has used it. */
  readonly usedBy?: string;
}

export interface PairedPlace extends PlaceInfo {
  readonly id: string;
}

/** Where a site keeps its invites; implemented over the agent's state. */
export interface InviteStore {
  put(invite: PendingInvite): Promise<void> | void;
  /** Used and expired ones too, as long as they are kept. */
  find(id: string): Promise<PendingInvite | undefined> | PendingInvite | undefined;
  /**
   * In one transaction, durable when it resolves: marks the invite as used by the device and pins the
   * device. False, and no change, when the invite has been used before.
   */
  redeem(id: string, device: PairedPlace): Promise<boolean> | boolean;
}

/** Makes an invite and stores its counterpart. `now` in ms since 1970. Errors: those of the store. */
export async function createInvite(options: {
  readonly identity: Identity;
  readonly name: string;
  readonly hosts: readonly string[];
  readonly port: number;
  readonly ttlMs: number;
  readonly now: number;
  readonly store: InviteStore;
}): Promise<{ text: string; invite: Invite }> {
  const secret = randomBytes(SECRET_BYTES);
  const expiresAt = options.now + options.ttlMs;
  const invite = inviteSchema.parse({
    hosts: options.hosts,
    port: options.port,
    id: options.identity.id,
    secret: secret.toString('base64url'),
    expires: new Date(expiresAt).toISOString(),
    name: options.name,
  });
  const { id, key } = derive(secret);
  await options.store.put({ id, key: key.toString('hex'), expiresAt });
  const text = PREFIX + Buffer.from(JSON.stringify(invite)).toString('base64url');
  return { text, invite };
}

/** Reads what a person pasted. Error: `invite-malformed`. */
export function parseInvite(text: string): Invite {
  try {
    const trimmed = text.trim();
    if (trimmed.length > MAX_INVITE_LENGTH || !trimmed.startsWith(PREFIX)) {
      throw new Error('not an invite');
    }
    const json = Buffer.from(trimmed.slice(PREFIX.length), 'base64url').toString('utf8');
    return inviteSchema.parse(JSON.parse(json));
  } catch (error) {
    throw new SojournError({
      kind: 'usage',
      code: 'invite-malformed',
      message: 'This is not an invite, or a part of it is missing',
      remedy:
        'Paste the whole line that "sojourn invite" printed at the site; it begins with sojourn1.',
      cause: error,
    });
  }
}

/** What the device says in HELLO. `socket` is secured and its peer is the invite's site. */
export function proveInvite(
  invite: Invite,
  socket: TLSSocket,
  deviceId: string,
): { invite: string; proof: string } {
  const { id, key } = derive(Buffer.from(invite.secret, 'base64url'));
  return { invite: id, proof: proofOf(key, socket, deviceId, invite.id).toString('hex') };
}

/**
 * The site's side: checks invite and proof, marks the invite used and pins the device. A device whose
 * first answer was lost may come again with the same invite while it is still pinned.
 * Errors: `invite-unknown`, `invite-used`, `invite-expired`.
 */
export async function redeemInvite(options: {
  readonly store: InviteStore;
  readonly socket: TLSSocket;
  readonly siteId: string;
  readonly device: PairedPlace;
  readonly claim: { readonly invite: string; readonly proof: string };
  readonly isPinned: (id: string) => boolean;
  readonly now: number;
}): Promise<void> {
  const { store, device, claim } = options;
  const invite = await store.find(claim.invite);
  if (invite === undefined) throw unknown();
  const key = Buffer.from(invite.key, 'hex');
  const expected = proofOf(key, options.socket, device.id, options.siteId);
  if (!timingSafeEqual(expected, Buffer.from(claim.proof, 'hex'))) throw unknown();
  if (invite.usedBy !== undefined) {
    if (invite.usedBy === device.id && options.isPinned(device.id)) return;
    throw used();
  }
  if (options.now >= invite.expiresAt) throw expired();
  if (!(await store.redeem(invite.id, device))) throw used();
}

function derive(secret: Buffer): { id: string; key: Buffer } {
  const hash = (label: string) => createHash('sha256').update(label).update(secret).digest();
  return { id: hash('sojourn invite id').toString('hex'), key: hash('sojourn invite key') };
}

function proofOf(key: Buffer, socket: TLSSocket, deviceId: string, siteId: string): Buffer {
  const exporter = socket.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0));
  return createHmac('sha256', key).update(exporter).update(deviceId).update(siteId).digest();
}

const REMEDY = 'Run "sojourn invite" at the site for a new one';

function unknown(): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'invite-unknown',
    message: 'The site does not know this invite',
    remedy: REMEDY,
  });
}

function used(): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'invite-used',
    message: 'This invite has been used before, and an invite works once',
    remedy: REMEDY,
  });
}

function expired(): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'invite-expired',
    message: 'This invite has expired',
    remedy: REMEDY,
  });
}
