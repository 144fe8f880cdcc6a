/** The pictures that `resources/icons/render.ts` makes. */
import { join } from 'node:path';
import { type NativeImage, nativeImage } from 'electron';
import type { IconName } from './types.ts';

/** For a light panel, a dark one, one of which nothing is known, and for macOS, which colours it itself. */
export type IconStyle = 'light' | 'dark' | 'any' | 'template';

/** Sides in pixels of the smallest picture; the others are its multiples. */
const SIDE = process.platform === 'linux' ? 22 : 16;
const SCALES = [1, 2];

/** @param folder `resources/icons/tray` */
export function trayImage(folder: string, name: IconName, style: IconStyle): NativeImage {
  const image = nativeImage.createEmpty();
  for (const scaleFactor of SCALES) {
    const path = join(folder, style, `${name}-${SIDE * scaleFactor}.png`);
    const picture = nativeImage.createFromPath(path);
    image.addRepresentation({ scaleFactor, dataURL: picture.toDataURL() });
  }
  if (style === 'template') image.setTemplateImage(true);
  return image;
}

/** @param dark whether the system's colours are dark; on Linux that says nothing of the panel */
export function iconStyle(platform: NodeJS.Platform, dark: boolean): IconStyle {
  if (platform === 'darwin') return 'template';
  if (platform === 'linux') return 'any';
  return dark ? 'dark' : 'light';
}
