/** The committed pictures are what their sources render to, and none looks like another. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renderAll, states, styles, traySides } from '../../resources/icons/render.ts';

const folder = join(import.meta.dirname, '../../resources/icons');

test('every picture is rendered from its source, and there', async () => {
  const pictures = await renderAll();
  expect([...pictures.keys()].filter((name) => name.startsWith('tray'))).toHaveLength(
    states.length * Object.keys(styles).length * traySides.length,
  );
  for (const [name, picture] of pictures)
    expect(picture.equals(await readFile(join(folder, name))), name).toBe(true);
  const small = [...pictures].filter(([name]) => name.endsWith('-16.png') && name.includes('any'));
  expect(new Set(small.map(([, picture]) => picture.toString('base64'))).size).toBe(states.length);
});
