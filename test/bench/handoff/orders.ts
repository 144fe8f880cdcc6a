/** Orders to the control service of the guest, from the correspondent. `node orders.ts ADDRESS DEADLINE-MS ORDER...` */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../../lab/index.ts';

const CONTROL_PORT = 7003;
const ANSWER_MS = 3000;
const NOT_YET_MS = 250;
/** Beyond the program's own deadline, before it is ended from outside. */
const GRACE_MS = 10_000;

/**
 * Gives the orders one after the other; `filled` is repeated until it is true. Rejects when that took longer than
 * `deadlineMs` or the guest refused one.
 */
export async function order(
  correspondent: Namespace,
  address: string,
  orders: readonly string[],
  deadlineMs: number,
): Promise<void> {
  const program = fileURLToPath(import.meta.url);
  await correspondent.run([process.execPath, program, address, `${deadlineMs}`, ...orders], {
    timeoutMs: deadlineMs + GRACE_MS,
  });
}

async function main(): Promise<void> {
  const [address = '', deadlineMs = '', ...orders] = process.argv.slice(2);
  const deadline = performance.now() + Number(deadlineMs);
  const socket = createSocket('udp4');
  socket.bind();
  await once(socket, 'listening');
  const ask = async (text: string): Promise<string> => {
    const answered = once(socket, 'message', { signal: AbortSignal.timeout(ANSWER_MS) });
    socket.send(text, CONTROL_PORT, address);
    const [message] = await answered.catch(() => ['']);
    return `${message}`.trim();
  };
  for (const text of orders)
    for (let answer = ''; !answer.startsWith('ok'); ) {
      answer = await ask(text);
      if (answer.startsWith('error') && answer !== 'error not yet')
        throw new Error(`${text}: ${answer}`);
      if (performance.now() > deadline) throw new Error(`${text}: ${answer || 'no answer'}`);
      if (answer === 'error not yet') await sleep(NOT_YET_MS);
    }
  socket.close();
}

if (process.argv[1] === import.meta.filename) await main();
