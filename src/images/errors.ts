import { SojournError } from '../common/index.ts';

const again = 'Import the image again with "sojourn image import FOLDER"';

/** Digests as people compare them. */
function brief(text: string): string {
  return text.replace(/\b([0-9a-f]{16})[0-9a-f]{48}\b/g, '$1');
}

export function imageUnknown(reference: string): SojournError {
  return new SojournError({
    kind: 'not-found',
    code: 'image-unknown',
    message: `No image in the store is or contains ${reference}`,
    remedy: 'Import one with "sojourn image import FOLDER"',
  });
}

export function imageMissing(digest: string): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'image-missing',
    message: `The image file ${brief(digest)} is not in the image store`,
    remedy: again,
  });
}

/** `expected` and `found` say what differs: a digest, or a size in bytes. */
export function digestWrong(file: string, expected: string, found: string): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'image-digest-wrong',
    message: `The content of ${brief(file)} is not what its name promises: expected ${brief(expected)}, found ${brief(found)}`,
    remedy: 'Get an undamaged copy and import it with "sojourn image import FOLDER"',
  });
}

export function manifestWrong(path: string, why: string, cause?: unknown): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'image-manifest-wrong',
    message: `${path} does not describe an image: ${why}`,
    remedy: 'Correct the file, or get the image again',
    cause,
  });
}

export function sourceMissing(path: string, cause?: unknown): SojournError {
  return new SojournError({
    kind: 'not-found',
    code: 'image-source-missing',
    message: `The image cannot be read: ${path} is missing or is not a file`,
    remedy: 'Name a folder with an image.json and the files that it lists',
    cause,
  });
}

export function storeFull(bytes: number, cause: unknown): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'image-store-full',
    message: `There is no room for the image in the image store: a file of ${bytes} bytes did not fit`,
    remedy: 'Make room on the disk of the state directory',
    cause,
  });
}
