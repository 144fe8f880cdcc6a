import { text as textOf } from 'node:stream/consumers';
import { screenSocketPath, stateDirectory } from '../../api/index.ts';
import { offerClipboard, readClipboard } from '../clipboard-session.ts';
import type { CommonOptions } from '../output.ts';
import { printable } from '../text.ts';
import { withAgent } from '../with-agent.ts';

/** Prints the text of the guest's clipboard as it is; offers it standard input with `--set`, until it has another text. */
export async function clipboard(
  guest: string,
  options: CommonOptions & { set?: boolean },
): Promise<void> {
  const where = { socketPath: screenSocketPath(stateDirectory(options.state)), guest };
  await withAgent(options, async (_client, output) => {
    if (options.set !== true) {
      const text = await readClipboard(where);
      if (output.json) output.result({ guest, text }, '');
      // A terminal obeys what a file only keeps.
      else if (process.stdout.isTTY) output.result({}, text.split('\n').map(printable).join('\n'));
      else process.stdout.write(text);
      return;
    }
    const text = await textOf(process.stdin);
    const offered = () => output.remark(`${guest} can paste it; Ctrl-C ends that`);
    await offerClipboard(where, text, offered);
    output.done({ guest, replaced: true }, `something else was copied in ${guest}`);
  });
}
