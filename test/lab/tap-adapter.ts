/** A TAP device's frames on a socket: a QEMU without a machine, so that no native code of our own is needed. */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from './namespace.ts';

const START_DEADLINE_MS = 10_000;
const LOOK_AGAIN_MS = 10;

/**
 * Joins TAP `device` of a namespace to the `-netdev` `other`, such as `stream,server=off,addr.type=unix,addr.path=...`: a
 * hub with two ports. Resolves when the device has its carrier. A `stream` that is a server will not do: QEMU 10.0 ends
 * with a segmentation fault when a frame comes for it before its client.
 */
export async function startTapAdapter(
  namespace: Namespace,
  device: string,
  other: string,
): Promise<ChildProcess> {
  const adapter = await namespace.spawn(
    [
      'qemu-system-x86_64',
      ...['-M', 'none', '-nodefaults', '-display', 'none', '-monitor', 'none'],
      ...['-netdev', `tap,id=tap,ifname=${device},script=no,downscript=no,vnet_hdr=off`],
      ...['-netdev', 'hubport,id=left,hubid=0,netdev=tap'],
      ...['-netdev', `${other},id=cable`],
      ...['-netdev', 'hubport,id=right,hubid=0,netdev=cable'],
    ],
    { stderr: 'pipe' },
  );
  let complaint = '';
  adapter.stderr?.on('data', (text) => {
    complaint += text;
  });
  const deadline = performance.now() + START_DEADLINE_MS;
  while (!(await carrier(namespace, device))) {
    if (adapter.exitCode !== null || performance.now() > deadline)
      throw new Error(`the TAP adapter of ${device} did not start: ${complaint.trim()}`);
    await sleep(LOOK_AGAIN_MS);
  }
  return adapter;
}

async function carrier(namespace: Namespace, device: string): Promise<boolean> {
  const shown = await namespace.run(['ip', '-o', 'link', 'show', 'dev', device]);
  return shown.includes('LOWER_UP');
}
