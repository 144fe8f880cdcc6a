/** A switch between two unix sockets: sender, switch and receiver are processes of their own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { type Rate, rateOf } from './traffic.ts';

const SECONDS = 2;
const at = (name: string) => join(import.meta.dirname, name);

export async function measureSockets(frameBytes: number, flows: number): Promise<Rate> {
  const directory = await mkdtemp(join(tmpdir(), 'sojourn-bench-'));
  const [first, second] = [join(directory, '1'), join(directory, '2')];
  const subject = execa(process.execPath, [at('switch-process.ts'), first, second, `${flows}`], {
    reject: false,
  });
  try {
    await ready(subject.stdout);
    const counter = execa(process.execPath, [
      at('socket-peer.ts'),
      'count',
      second,
      `${frameBytes}`,
      `${SECONDS}`,
    ]);
    const sender = execa(
      process.execPath,
      [at('socket-peer.ts'), 'send', first, `${frameBytes}`, `${flows}`],
      {
        reject: false,
      },
    );
    const { stdout } = await counter;
    sender.kill();
    await sender;
    return rateOf(frameBytes, flows, Number(stdout));
  } finally {
    subject.kill();
    await subject;
    await rm(directory, { recursive: true, force: true });
  }
}

async function ready(output: NodeJS.ReadableStream): Promise<void> {
  for await (const line of output) if (`${line}`.includes('ready')) return;
  throw new Error('the switch has ended');
}
