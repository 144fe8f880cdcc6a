/** Where the parts of one guest are at this place: all that `buildArguments` needs beside the spec. */
import { join } from 'node:path';
import { z } from 'zod';
import { checkSocketPath } from '../common/index.ts';

const diskRuntime = z.object({
  /** As in the spec. */
  name: z.string(),
  /** qcow2 file with the guest's own changes. */
  overlayPath: z.string(),
  basePath: z.string(),
  /** Bytes the overlay file may take; the guest is paused when it needs more. */
  limitBytes: z.int().positive(),
});

export const guestRuntime = z.object({
  /** QEMU. */
  binary: z.string(),
  /** Sockets and logs of this guest; made 0700 by `GuestProcess.start`. */
  directory: z.string(),
  disks: z.array(diskRuntime),
  kernelPath: z.string().optional(),
  initrdPath: z.string().optional(),
  /** For `uefi` guests: the code, and this guest's own copy of the variables. */
  firmware: z
    .object({
      codePath: z.string(),
      codeFormat: z.enum(['raw', 'qcow2']),
      variablesPath: z.string(),
    })
    .optional(),
  /** Unix socket of the switch port this guest is plugged into. */
  netSocket: z.string(),
  /** Wait for a migration instead of booting; the guest then only runs after `cont`. */
  incoming: z.boolean(),
  /** Boot, but wait for `cont` before the first instruction. */
  paused: z.boolean().optional(),
});
export type GuestRuntime = z.infer<typeof guestRuntime>;
export type DiskRuntime = z.infer<typeof diskRuntime>;

export interface GuestPaths {
  readonly qmpSocket: string;
  readonly consoleSocket: string;
  readonly consoleLog: string;
  readonly guestAgentSocket: string;
  /** Only of a guest with a display. */
  readonly vncSocket: string;
  /** Only of a guest with a clipboard. */
  readonly vdagentSocket: string;
  readonly qemuLog: string;
}

export function guestPaths(directory: string): GuestPaths {
  return {
    qmpSocket: join(directory, 'qmp.sock'),
    consoleSocket: join(directory, 'console.sock'),
    consoleLog: join(directory, 'console.log'),
    guestAgentSocket: join(directory, 'agent.sock'),
    vncSocket: join(directory, 'vnc.sock'),
    vdagentSocket: join(directory, 'vdagent.sock'),
    qemuLog: join(directory, 'qemu.log'),
  };
}

/** Throws SojournError `socket-path-too-long` where a socket in `directory`, or `netSocket`, cannot be bound. */
export function checkSocketPaths(runtime: Pick<GuestRuntime, 'directory' | 'netSocket'>): void {
  const paths = guestPaths(runtime.directory);
  for (const path of [paths.consoleSocket, paths.guestAgentSocket, runtime.netSocket]) {
    checkSocketPath(path);
  }
}
