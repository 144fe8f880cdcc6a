import axe, { type AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

/** No serious or critical finding of axe-core in what the page shows now. */
export async function expectAccessible(page: Page, what: string): Promise<void> {
  const isThere = await page.evaluate('"axe" in globalThis');
  // Through the debugger, as the page's policy would not take it from the page.
  if (!isThere) await page.evaluate(axe.source);
  const results = (await page.evaluate('axe.run({ resultTypes: ["violations"] })')) as AxeResults;
  const serious = results.violations.filter(
    ({ impact }) => impact === 'serious' || impact === 'critical',
  );
  const found = serious.map(({ id, nodes }) => ({
    id,
    nodes: nodes.map(({ html, any }) => `${html}: ${any.map(({ message }) => message).join()}`),
  }));
  expect(found, what).toEqual([]);
}

/** Nothing reaches beyond the right edge. */
export async function expectFits(page: Page, what: string): Promise<void> {
  const inner = await page.evaluate('document.documentElement.scrollWidth');
  const outer = await page.evaluate('window.innerWidth');
  expect(Number(inner), what).toBeLessThanOrEqual(Number(outer));
}
