/**
 * Renders the icons' sources (`tray.svg`, `app.svg`) into the PNGs that are committed beside them. Run it after a change
 * of a source: `node resources/icons/render.ts`; with `--check` it only says whether the PNGs are up to date.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Resvg } from '@resvg/resvg-js';

const folder = import.meta.dirname;

export const states = [
  'waiting',
  'here',
  'safe',
  'at-risk',
  'moving',
  'elsewhere',
  'receiving',
  'problem',
] as const;
const onDark = {
  base: '#eceff4',
  good: '#3ddc84',
  warn: '#ffb340',
  bad: '#ff6b62',
  move: '#6fb1ff',
} as const;
/**
 * For light panels; for dark ones; for panels of which nothing is known, as on Linux: the dark one's with an outline; for
 * macOS, which colours a black picture itself.
 */
export const styles = {
  light: { base: '#30343c', good: '#0f8a4c', warn: '#b86500', bad: '#d02f2f', move: '#1f66d6' },
  dark: onDark,
  any: onDark,
  template: { base: '#000', good: '#000', warn: '#000', bad: '#000', move: '#000' },
} as const;
/** Around a picture for any panel, in the source's units. */
const OUTLINE = `<filter id="outline" x="-10%" y="-10%" width="120%" height="120%">
<feGaussianBlur in="SourceAlpha" stdDeviation="0.5"/>
<feComponentTransfer result="wider"><feFuncA type="linear" slope="5"/></feComponentTransfer>
<feFlood flood-color="#14181e" flood-opacity="0.85"/><feComposite in2="wider" operator="in"/>
<feMerge><feMergeNode/><feMergeNode in="SourceGraphic"/></feMerge></filter>`;
/** Sides in pixels: 16 and 32 on macOS and Windows, 22 and 44 on Linux. */
export const traySides = [16, 22, 32, 44] as const;
export const appSides = [16, 32, 48, 64, 128, 256, 512] as const;

/** Every PNG by its path below this folder. */
export async function renderAll(): Promise<ReadonlyMap<string, Buffer>> {
  const tray = await readFile(join(folder, 'tray.svg'), 'utf8');
  const app = await readFile(join(folder, 'app.svg'), 'utf8');
  const pictures = new Map<string, Buffer>();
  for (const [style, colours] of Object.entries(styles)) {
    for (const state of states) {
      const source = only(tray, state, colours, style === 'any');
      for (const side of traySides)
        pictures.set(join('tray', style, `${state}-${side}.png`), render(source, side));
    }
  }
  for (const side of appSides) pictures.set(join('app', `sojourn-${side}.png`), render(app, side));
  return pictures;
}

/** The source with one state shown, in the colours of a style. */
function only(
  source: string,
  state: string,
  colours: Readonly<Record<string, string>>,
  outlined: boolean,
): string {
  const rules = Object.entries(colours).flatMap(([name, colour]) => [
    `.${name}{fill:${colour}}`,
    `.${name}.outlined{stroke:${colour}}`,
    `.${name}.stroked{fill:none;stroke:${colour}}`,
  ]);
  const hidden = states.filter((other) => other !== state).map((other) => `#${other}`);
  const style = `<style>${rules.join('')}${hidden.join(',')}{display:none}</style>`;
  const shown = `<g id="${state}">`;
  return source
    .replace('<defs>', `${style}<defs>${outlined ? OUTLINE : ''}`)
    .replace(shown, outlined ? shown.replace('>', ' filter="url(#outline)">') : shown);
}

function render(svg: string, side: number): Buffer {
  return new Resvg(svg, {
    fitTo: { mode: 'width', value: side },
    font: { loadSystemFonts: false },
  })
    .render()
    .asPng();
}

async function main(): Promise<void> {
  const checking = process.argv.includes('--check');
  for (const [name, picture] of await renderAll()) {
    const path = join(folder, name);
    const before = await readFile(path).catch(() => undefined);
    if (before?.equals(picture) === true) continue;
    if (checking) {
      console.error(`${name} is not what its source renders to`);
      process.exitCode = 1;
      continue;
    }
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, picture);
    console.log(name);
  }
}

if (import.meta.main) await main();
