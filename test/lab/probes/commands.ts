/** How the probe processes are told what to do: options as JSON argument, commands as JSON lines. */
import { createInterface } from 'node:readline';
import { z } from 'zod';

export const target = z.object({
  /** Names its logs: `v4`, `v6`. */
  name: z.string().regex(/^[a-z0-9]+$/),
  address: z.union([z.ipv4(), z.ipv6()]),
});
export type Target = z.infer<typeof target>;

export const probeOptions = z.object({
  /** Where the logs go. */
  directory: z.string(),
  targets: z.array(target).min(1),
  /** Length of an echo datagram's payload; its number needs up to 16. */
  echoBytes: z.int().min(16).max(1400).default(64),
});
export type ProbeOptions = z.input<typeof probeOptions>;

export const datagramCommand = z.discriminatedUnion('command', [
  /** Milliseconds between two numbered datagrams, to the targets in turn; 0: none. */
  z.object({ command: z.literal('spacing'), ms: z.number().min(0) }),
  /** Whether the guest shall send its numbered datagrams. */
  z.object({ command: z.literal('streams'), on: z.boolean() }),
]);
export type DatagramCommand = z.infer<typeof datagramCommand>;

/** Calls `take` for every line of standard input; `end` when it closes or on SIGTERM, once. */
export function obey(take: (json: unknown) => void, end: () => Promise<void>): void {
  let ending = false;
  const once = (): void => {
    if (ending) return;
    ending = true;
    end().then(
      () => process.exit(0),
      (error) => {
        process.stderr.write(`${error}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', once);
  createInterface({ input: process.stdin })
    .on('line', (line) => take(JSON.parse(line)))
    .on('close', once);
}
