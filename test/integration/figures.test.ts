/**
 * The demo's figures against an independent calculation, on real packets: the demo guest's services run as a plain
 * process at the site, a handoff is a moment in which they are stopped and the link stalls.
 */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Evidence, realtimeMs } from '../demo/evidence.ts';
import { computeFigures, type Figures } from '../demo/figures.ts';
import { ADDRESSES, Lab } from '../lab/index.ts';
import { Probes } from '../lab/probes/index.ts';

const SERVICES = fileURLToPath(new URL('../../resources/guest/services', import.meta.url));
const RECOMPUTE = fileURLToPath(new URL('../demo/recompute.ts', import.meta.url));
const HOA = { v4: '192.0.2.10', v6: '2001:db8:7700:1::10' };
const PAUSE_MS = 60;

function recompute(directory: string): Figures & { guest: object; accelerator: string } {
  const output = execFileSync(process.execPath, [RECOMPUTE, directory], { encoding: 'utf8' });
  return JSON.parse(output);
}

/** A root directory in which the guest's services run as in the guest. */
function makeRoot(directory: string): string {
  const root = join(directory, 'root');
  for (const folder of ['data', 'proc/sys/kernel/random'])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'proc/sys/kernel/random/boot_id'), `${randomUUID()}\n`);
  const sources = readdirSync(SERVICES).filter((file) => file.endsWith('.c'));
  const output = ['-o', join(root, 'services')];
  const flags = ['-std=gnu11', '-static', '-O1', ...output];
  execFileSync('cc', [...flags, ...sources.map((file) => join(SERVICES, file))]);
  return root;
}

/** Removes the first line with `word` after a time (realtime, ms) from a probe's log. */
function dropLineAfter(path: string, word: string, afterMs: number): void {
  const lines = readFileSync(path, 'utf8').split('\n');
  const [, monotonic, realtime] = (lines.find((line) => line.startsWith('clock')) ?? '').split(' ');
  const offset = Number(realtime) - Number(monotonic);
  const index = lines.findIndex((line) => {
    const [kind, time] = line.split(' ');
    return kind === word && (Number(time) + offset) / 1e6 > afterMs;
  });
  expect(index).toBeGreaterThan(0);
  writeFileSync(path, lines.toSpliced(index, 1).join('\n'));
}

describe('the figures of the demo', { timeout: 90_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'figures-'));
  let lab: Lab;
  let evidence: Evidence;

  /** Both sides' QMP logs, as far as the figures read them. */
  function noteQemu(side: 'device' | 'site' | 'baseline', event: string, at: number): void {
    const seconds = Math.floor(at / 1000);
    const microseconds = Math.round((at - seconds * 1000) * 1000);
    const line = JSON.stringify({ timestamp: { seconds, microseconds }, event });
    evidence.qmpLog(side, 'guest')({ timeMs: at, direction: 'received', line });
  }

  async function handoff(
    probes: Probes,
    number: number,
    from: 'device' | 'site',
    to: 'device' | 'site',
  ): Promise<void> {
    evidence.event('watch-start', { handoff: number });
    probes.spacing(1);
    probes.startStreams();
    await probes.startPing(`${number}`, 1);
    await sleep(500);
    evidence.link(`handoff-${number}-start`, await lab.link.statistics());
    evidence.event('handoff-start', { handoff: number, from, to });
    await sleep(300);
    noteQemu(from, 'STOP', realtimeMs());
    await lab.link.stall();
    await sleep(PAUSE_MS);
    await lab.link.restore();
    noteQemu(to, 'RESUME', realtimeMs());
    await sleep(300);
    evidence.event('handoff-end', { handoff: number, from, to });
    evidence.link(`handoff-${number}-end`, await lab.link.statistics());
    await sleep(1200);
    evidence.event('watch-end', { handoff: number });
    probes.spacing(50);
    await Promise.all([probes.stopPing(), probes.endStreams()]);
    await probes.fetch(HOA.v4, 7002, evidence.path(`records-${number}.txt`), 5000);
  }

  beforeAll(async () => {
    const link = { rateBitsPerSecond: 100e6, delayMs: 2 };
    lab = await Lab.create({ up: link, down: link });
    evidence = new Evidence(join(directory, 'evidence'));
    await lab.device.ip(`address add ${HOA.v4}/32 dev lo`, `address add ${HOA.v6}/128 dev lo`);
    const route = (by4: string, by6: string) => [
      `route add ${HOA.v4}/32 via ${by4}`,
      `route add ${HOA.v6}/128 via ${by6}`,
    ];
    await lab.internet.ip(...route(ADDRESSES.home4, ADDRESSES.home6));
    await lab.home.ip(...route(ADDRESSES.device4, ADDRESSES.device6));
    const rules = ['ip daddr 192.0.2.0/24', 'ip6 daddr 2001:db8:7700::/48']
      .map((match) => `insert rule inet home forward ${match} accept`)
      .join('\n');
    await lab.home.run(['nft', '-f', '-'], { input: rules });
    const log = join(directory, 'services.log');
    const root = makeRoot(directory);
    await lab.device.spawn(['chroot', root, '/services'], { stdout: log });
    const targets = Object.entries(HOA).map(([name, address]) => ({ name, address }));
    const probes = new Probes(lab.correspondent, evidence.client, targets);
    await probes.startCapture();
    await probes.fetch(HOA.v6, 7002, evidence.path('records-0.txt'), 10_000);
    await probes.start();
    probes.spacing(50);
    await sleep(500);
    evidence.event('guest', { hoa4: HOA.v4, hoa6: HOA.v6 });
    evidence.commandLine('device', 'start', ['qemu', '-accel', 'tcg,x=y', '-m', 'size=512M']);
    const start = evidence.event('baseline-start');
    noteQemu('baseline', 'STOP', start + 1000);
    noteQemu('baseline', 'RESUME', start + 1123.5);
    await sleep(1300);
    evidence.event('baseline-end');
    await handoff(probes, 1, 'device', 'site');
    await handoff(probes, 2, 'site', 'device');
    await probes.close();
  }, 60_000);
  afterAll(async () => {
    await lab.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('are what happened', () => {
    const figures = computeFigures(evidence.directory);
    expect(figures.baseline?.plainQemuBlackoutMs).toBeCloseTo(123.5, 1);
    expect(figures.handoffs.map(({ from, to }) => `${from} ${to}`)).toEqual([
      'device site',
      'site device',
    ]);
    for (const each of figures.handoffs) {
      expect(each).toMatchObject({ packetsLost: 0, tcpBroken: 0, diskRecordsOk: true });
      expect(each.blackoutMs).toBeGreaterThan(PAUSE_MS - 20);
      expect(each.packetsSent).toBeGreaterThan(3000);
    }
    expect(figures.reports).toMatchObject({ stepsBack: 0, boots: 1 });
  });

  it('agree with what a separate program computes from capture and QMP logs', () => {
    const figures = computeFigures(evidence.directory);
    const again = recompute(evidence.directory);
    expect(again.accelerator).toBe('tcg');
    expect(again.guest).toEqual({ memoryMiB: 512, hoa4: HOA.v4, hoa6: HOA.v6 });
    expect(again.baseline?.plainQemuBlackoutMs).toBeCloseTo(123.5, 1);
    figures.handoffs.forEach((each, index) => {
      const other = again.handoffs[index];
      expect(other).toMatchObject({
        from: each.from,
        to: each.to,
        packetsLost: each.packetsLost,
        tcpBroken: each.tcpBroken,
        bytesOnLink: each.bytesOnLink,
        diskRecordsOk: each.diskRecordsOk,
      });
      expect(other?.triggerToRunningMs).toBeCloseTo(each.triggerToRunningMs, 1);
      // The clients read their clock after the packet passed the capture; how long, is up to a busy machine.
      expect(Math.abs((other?.blackoutMs ?? 0) - each.blackoutMs)).toBeLessThan(60);
      expect(Math.abs((other?.packetsSent ?? 0) - each.packetsSent)).toBeLessThan(200);
    });
  });

  it('tell of a lost packet, a broken connection and a damaged record, both of them', () => {
    const damaged = join(directory, 'damaged');
    cpSync(evidence.directory, damaged, { recursive: true });
    const path = join(damaged, 'records-2.txt');
    writeFileSync(path, readFileSync(path, 'latin1').replace('.', ','), 'latin1');
    const start = readFileSync(join(damaged, 'events.jsonl'), 'utf8')
      .split('\n')
      .map((line) => JSON.parse(line || '{}'))
      .find(({ event, handoff }) => event === 'handoff-start' && handoff === 2).realtimeMs;
    dropLineAfter(join(damaged, 'client', 'tcp-v4.log'), 'line', start);
    dropLineAfter(join(damaged, 'client', 'echo-v6.log'), 'got', start + 50);
    const [first, second] = computeFigures(damaged).handoffs;
    expect(first).toMatchObject({ packetsLost: 0, tcpBroken: 0, diskRecordsOk: true });
    expect(second).toMatchObject({ packetsLost: 1, tcpBroken: 1, diskRecordsOk: false });
    expect(recompute(damaged).handoffs.map((each) => each.diskRecordsOk)).toEqual([true, false]);
  });
});
