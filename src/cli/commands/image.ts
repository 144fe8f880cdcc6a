import { resolve } from 'node:path';
import type { CommonOptions } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import { printable, shortId, table } from '../text.ts';
import { formatBytes } from '../units.ts';
import { withAgent } from '../with-agent.ts';

export async function importImage(path: string, options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const line = new ProgressLine(process.stderr);
    const image = await client.call(
      'image.import',
      { path: resolve(path) },
      {
        onItem: ({ bytesDone, bytesTotal }) => {
          if (output.json || output.quiet) return;
          const total = bytesTotal === null ? '' : ` of ${formatBytes(bytesTotal)}`;
          line.show('import', `import: ${formatBytes(bytesDone)}${total}`, Date.now());
        },
      },
    );
    line.clear();
    output.done(image, printable(`${image.name} is imported (${formatBytes(image.bytes)})`));
  });
}

export async function list(options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const images = await client.call('image.list', {});
    const rows = images.map(({ name, architecture, boot, disks, bytes }) => [
      name,
      architecture,
      boot,
      formatBytes(bytes),
      disks.map((disk) => `${disk.name}=${shortId(disk.digest)}`).join(' '),
    ]);
    output.result(images, table(['IMAGE', 'ARCHITECTURE', 'BOOT', 'SIZE', 'DISKS'], rows));
    if (images.length === 0) output.remark('no images; add one with "sojourn image import PATH"');
  });
}
