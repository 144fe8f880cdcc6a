import { spawn } from 'node:child_process';
import { buildUi } from '../../ui/build.ts';
import { type CommonOptions, usageError } from '../output.ts';
import { withAgent } from '../with-agent.ts';

export interface UiOptions extends CommonOptions {
  readonly open: boolean;
  readonly port?: string;
}

/** What opens a link on each system. */
const openers: Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>> = {
  linux: ['xdg-open'],
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

/** `screenOf`: shows the screen of that guest first. The link alone is on standard output, so that it can be piped. */
export async function ui(options: UiOptions, screenOf?: string): Promise<void> {
  const port = options.port === undefined ? undefined : parsePort(options.port);
  await buildUi();
  await withAgent(options, async (client, output) => {
    const link = await client.call('ui.open', { port, screenOf });
    output.result(link, link.url);
    if (!options.open) return;
    const opened = await openLink(link.url);
    if (!opened) output.remark('no browser could be opened here: follow the link yourself');
  });
}

/** Whether something took the link. */
function openLink(url: string): Promise<boolean> {
  const opener = openers[process.platform];
  const noDisplay =
    process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY;
  if (opener === undefined || noDisplay) return Promise.resolve(false);
  const [command, ...args] = opener;
  return new Promise((resolve) => {
    const child = spawn(command, [...args, url], { stdio: 'ignore', detached: true });
    child.once('error', () => resolve(false));
    child.once('spawn', () => {
      child.unref();
      resolve(true);
    });
  });
}

function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw usageError(
    'port-malformed',
    `${JSON.stringify(text)} for --port is not a port`,
    'Give a number from 1024 to 65535',
  );
}
