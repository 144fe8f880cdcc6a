/** The pictures that `resources/icons/render.ts` makes. */
import { join } from 'node:path';
import { type NativeImage, nativeImage } from 'electron';
import type { IconName } from './types.ts';

/** `template`: black on transparent, which macOS colours itself. */
export type IconStyle = 'light' | 'dark' | 'template';

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

/** @param dark whether the panel is dark, and the icon has to be light */
export function iconStyle(platform: NodeJS.Platform, dark: boolean): IconStyle {
  if (platform === 'darwin') return 'template';
  return dark ? 'dark' : 'light';
}
