/** Chromium for tests, where Debian, Fedora and Arch put it. */
import { access, constants, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from 'playwright-core';
import type { Namespace } from '../lab/index.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
/** Nothing of its own on the network, no GPU; as root, and in containers, it has no sandbox. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

async function findChromium(): Promise<string> {
  for (const folder of (process.env.PATH ?? '').split(delimiter))
    for (const name of NAMES) {
      const path = join(folder, name);
      const found = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return path;
    }
  throw new Error('there is no Chromium; run "sh resources/setup.sh test"');
}

/** In a network namespace if one is given: its loopback is another one. */
export async function launchBrowser(namespace?: Namespace): Promise<Browser & AsyncDisposable> {
  const chosen = await findChromium();
  const folder = await mkdtemp(join(tmpdir(), 'sojourn-browser-'));
  const through = join(folder, 'chromium');
  const command = namespace === undefined ? [chosen] : namespace.command([chosen]);
  await writeFile(through, `#!/bin/sh\nexec ${command.join(' ')} "$@"\n`, { mode: 0o755 });
  const browser = await chromium.launch({ executablePath: through, args: ARGUMENTS });
  return Object.assign(browser, {
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      await rm(folder, { recursive: true, force: true });
    },
  });
}

export interface OpenWindow {
  readonly page: Page;
  /** What the page complained about: errors, and what its policy refused. */
  readonly complaints: string[];
}

export async function openWindow(
  browser: Browser,
  link: string,
  options: BrowserContextOptions = {},
): Promise<OpenWindow> {
  const context = await browser.newContext({ locale: 'en', ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  await page.goto(link);
  return { page, complaints };
}

/** What a person sees of it: nothing hidden, with line breaks where they show. */
export function seen(what: Locator): Promise<string> {
  // biome-ignore lint/performance/useDomNodeTextContent: the layout is what is tested
  return what.innerText();
}

/** Follows a link within the window, as its menu does. */
export async function goTo(page: Page, hash: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
}

/** Whether a text of somebody else's became code. */
export async function wasHacked(page: Page): Promise<boolean> {
  return (await page.evaluate('"hacked" in window')) === true;
}
