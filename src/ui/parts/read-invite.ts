/** An invite out of a file: text as the command prints it, or a picture of its QR code. */
import type { WireError } from '../../api/schema.ts';

const INVITE = /sojourn1\.[A-Za-z0-9_-]+/;
/** As much as the agent takes. */
const MAX_TEXT_BYTES = 64 << 10;
const MAX_PICTURE_BYTES = 32 << 20;
/** Pictures are drawn no larger than this; QR codes need less, pixels. */
const MAX_SIDE = 1600;

/** The invite in a text, which may have other words around it. */
export function inviteIn(text: string): string | undefined {
  return INVITE.exec(text)?.[0];
}

/** @throws WireError `no-qr-code`, `file-unreadable` */
export async function readInvite(file: File): Promise<string> {
  if (file.type.startsWith('image/') && file.size <= MAX_PICTURE_BYTES) return fromPicture(file);
  const invite = file.size <= MAX_TEXT_BYTES ? inviteIn(await file.text()) : undefined;
  if (invite === undefined) throw unreadable();
  return invite;
}

async function fromPicture(file: File): Promise<string> {
  const picture = await createImageBitmap(file).catch(() => {
    throw unreadable();
  });
  const scale = Math.min(1, MAX_SIDE / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(picture.width * scale));
  const height = Math.max(1, Math.round(picture.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (context === null) throw unreadable();
  // Behind a picture with holes.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const { default: decodeQR } = await import('qr/decode.js');
  try {
    const invite = inviteIn(decodeQR({ width, height, data }, { timeLimit: 1000 }));
    if (invite !== undefined) return invite;
  } catch {
    // The library throws for every picture in which it finds nothing.
  }
  throw noQrCode();
}

function noQrCode(): WireError {
  return {
    kind: 'usage',
    code: 'no-qr-code',
    message: 'There is no QR code of an invite in this picture',
    remedy: 'Choose a sharper or larger picture, or paste the invite as text',
  };
}

function unreadable(): WireError {
  return {
    kind: 'usage',
    code: 'file-unreadable',
    message: 'This file is neither a picture nor an invite',
    remedy: 'Choose the file or the picture that the site gave you',
  };
}
