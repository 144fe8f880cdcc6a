/** All packets of an interface, into a file. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess, type Namespace } from '../namespace.ts';
import { build } from './build.ts';

/** Bytes kept of each packet: all headers, those of a packet that an error quotes, and what a probe's number needs. */
const SNAPSHOT_BYTES = 160;
/** The kernel hands packets to tcpdump up to a second late, and what it still has at the end is gone. */
const CAPTURE_MS = 1200;
/** A capture that is killed before it is written out would make losses up. */
const FLUSH_MS = 15_000;

export class Capture {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** Resolves when packets are being captured. */
  static async start(namespace: Namespace, device: string, file: string): Promise<Capture> {
    const library = groupsCanBeSet()
      ? undefined
      : await build('keep-groups.c', ['-shared', '-fPIC']);
    const capture = await namespace.spawn(
      [
        ...['tcpdump', '-i', device, '-n', '-Z', 'root', '-B', '16384', '-s', `${SNAPSHOT_BYTES}`],
        ...['-w', file],
      ],
      { stderr: 'pipe', env: library === undefined ? {} : { LD_PRELOAD: library } },
    );
    if (capture.stderr === null) throw new Error('tcpdump has no output');
    const died = once(capture, 'exit').then(() => {
      throw new Error('tcpdump ended before it captured anything');
    });
    died.catch(() => {});
    await Promise.race([once(capture.stderr, 'data'), died]);
    capture.stderr.resume();
    if (library !== undefined) await rm(dirname(library), { recursive: true });
    return new Capture(capture);
  }

  async close(): Promise<void> {
    await sleep(CAPTURE_MS);
    await endProcess(this.#process, FLUSH_MS);
  }
}

function groupsCanBeSet(): boolean {
  return readFileSync('/proc/self/setgroups', 'utf8').trim() === 'allow';
}
