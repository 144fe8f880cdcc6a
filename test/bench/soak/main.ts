/**
 * `npm run bench -- soak`: a guest stands by under load for a long time; resident memory and descriptors of all processes
 * of both places must not grow. Exit 1 when those of one do.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { asSojournError } from '../../../src/common/index.ts';
import { Evidence } from '../../demo/evidence.ts';
import { enterLab, Lab } from '../../lab/index.ts';
import { Probes } from '../../lab/probes/index.ts';
import { order, placeProcesses, SojournMover } from '../handoff/index.ts';
import { type ProcessSlope, type Sample, slopes } from './slopes.ts';

const USAGE = `npm run bench -- soak [options]

  --minutes N       how long the guest stands by (default 20)
  --json            one JSON object a process on standard output
  --evidence DIR    leave logs and all samples in DIR
  --help            print this
`;
const LINK = { rateBitsPerSecond: 20e6, delayMs: 25 };
const LOAD = ['fill 300', 'dirty 200 64', 'disk 100', 'filled'];
const LOAD_DEADLINE_MS = 240_000;
const SAMPLE_MS = 10_000;
const PROBE_SPACING_MS = 50;
const INTERRUPTED = 130;

interface Options {
  readonly minutes: number;
  readonly json: boolean;
  readonly evidence: string | undefined;
}

async function soak({ minutes, json, evidence: folder }: Options): Promise<number> {
  const say = (text: string) => (json ? process.stderr : process.stdout).write(`${text}\n`);
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => abort.abort(new Error('interrupted')));
  const { signal } = abort;
  const lab = await Lab.create({ up: LINK, down: LINK });
  try {
    const evidence = new Evidence(resolve(folder ?? mkdtempSync(join(lab.directory, 'e'))));
    const mover = new SojournMover({ lab, evidence, signal, limitMs: 0 }, 'armed');
    try {
      say(`boot and arm a guest that rewrites 200 KB/s of memory and writes 100 KB/s to its disk`);
      const { address } = await mover.start();
      await order(lab.correspondent, address, LOAD, LOAD_DEADLINE_MS);
      await mover.arm?.();
      const targets = [{ name: 'v4', address }];
      const probes = new Probes(lab.correspondent, evidence.client, targets);
      await probes.start();
      probes.spacing(PROBE_SPACING_MS);
      say(`it stands by; samples every ${SAMPLE_MS / 1000} s for ${minutes} minutes`);
      const samples = await collect(lab, minutes, signal);
      await mover.noteStatus();
      await probes.close();
      const lines = samples.map((each) => `${JSON.stringify(each)}\n`);
      writeFileSync(evidence.path('samples.jsonl'), lines.join(''));
      return tell(slopes(samples), json, say);
    } finally {
      mover.collect();
    }
  } catch (error) {
    if (signal.aborted) return INTERRUPTED;
    throw error;
  } finally {
    await lab.close();
  }
}

async function collect(lab: Lab, minutes: number, signal: AbortSignal): Promise<Sample[]> {
  const samples: Sample[] = [];
  const begin = performance.now();
  for (;;) {
    const passed = (performance.now() - begin) / 60_000;
    samples.push({ minutes: passed, processes: placeProcesses(lab) });
    if (passed >= minutes) return samples;
    await sleep(SAMPLE_MS, undefined, { signal });
  }
}

function tell(found: readonly ProcessSlope[], json: boolean, say: (text: string) => void): number {
  for (const each of found) {
    if (json) process.stdout.write(`${JSON.stringify(each)}\n`);
    const { residentMB, descriptors } = each;
    say(
      `${each.process.padEnd(32)} ${`${each.pid}`.padStart(7)}  ` +
        `${residentMB.first.toFixed(1)} to ${residentMB.last.toFixed(1)} MB, ` +
        `${each.residentKBPerMinute} KB a minute; ` +
        `${descriptors.first} to ${descriptors.last} descriptors, ` +
        `${each.descriptorsPerMinute} a minute${each.flat ? '' : '  GROWS'}`,
    );
  }
  return found.length > 0 && found.every(({ flat }) => flat) ? 0 : 1;
}

function parseOptions(argv: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: 'string', default: '20' },
      json: { type: 'boolean', default: false },
      evidence: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= 24 * 60)) throw new Error(`${values.minutes} are no minutes`);
  return { minutes, json: values.json, evidence: values.evidence };
}

async function main(): Promise<number> {
  let options: Options | undefined;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`soak: ${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  try {
    await enterLab();
    return await soak(options);
  } catch (error) {
    process.stderr.write(`soak: ${asSojournError(error).message}\n`);
    return 1;
  }
}

process.exit(await main());
