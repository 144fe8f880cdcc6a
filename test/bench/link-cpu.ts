/**
 * What watching the link costs: share of one core, of this process and of the programs it asks, with a stand-in for `iw` that prints what
 * the real one does.      npm run bench -- link-cpu [--json] [--seconds N]
 */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { defaultRules, LinkMonitor, linuxWifiSensor } from '../../src/link/index.ts';
import { situation } from '../link/samples.ts';

const LIMIT_PERCENT = 0.5;
const WARM_UP_S = 5;
/** Kernel clock ticks a second, of times in /proc/PID/stat: USER_HZ is 100 on every architecture of Linux that Node runs on. */
const TICKS = 100;

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '60' },
  },
});
const seconds = Math.max(Number(options.seconds) || 60, 10);

const folder = await mkdtemp(join(tmpdir(), 'sojourn-link-cpu-'));
const iw = join(folder, 'iw');

function script(dbm: number): string {
  return `#!/bin/sh
case "$*" in
  event) exec sleep 100000 ;;
  dev) printf 'phy#0\\n\\tInterface wlan0\\n\\t\\ttype managed\\n' ;;
  *link) printf 'Connected to 58:11:22:27:c5:d4 (on wlan0)\\n\\tSSID: home\\n\\tfreq: 5660\\n\\tsignal: ${dbm} dBm\\n\\ttx bitrate: 54.0 MBit/s\\n' ;;
  *dump) printf 'Station 58:11:22:27:c5:d4 (on wlan0)\\n\\trx bytes:\\t21670\\n\\ttx packets:\\t100\\n\\ttx retries:\\t8\\n\\ttx failed:\\t0\\n\\tbeacon loss:\\t0\\n\\tsignal:  \\t${dbm} dBm\\n\\ttx bitrate:\\t54.0 MBit/s\\n' ;;
esac
`;
}

/** CPU seconds of this process and of its children that have ended. */
async function cpuSeconds(): Promise<{ own: number; children: number }> {
  const stat = await readFile('/proc/self/stat', 'utf8');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [children, childrenSystem] = [fields[13] ?? 0, fields[14] ?? 0];
  const { user, system } = process.cpuUsage();
  return { own: (user + system) / 1e6, children: (children + childrenSystem) / TICKS };
}

async function measure(name: string, dbm: number) {
  await writeFile(iw, script(dbm));
  await chmod(iw, 0o755);
  const monitor = new LinkMonitor({
    sensor: linuxWifiSensor({ iw }),
    rules: () => defaultRules,
    situation: () => situation,
  });
  let samples = 0;
  let last: unknown;
  monitor.subscribe((event) => {
    if (event.kind === 'decision' && event.sample !== undefined && event.sample !== last) {
      last = event.sample;
      samples++;
    }
  });
  const start = await cpuSeconds();
  monitor.start();
  // The first readings compile code and find the interface.
  await sleep(WARM_UP_S * 1000);
  const [before, samplesBefore] = [await cpuSeconds(), samples];
  await sleep(seconds * 1000);
  const [after, samplesAfter] = [await cpuSeconds(), samples];
  await monitor.close();
  // What the programs took is known when the shell that ran them has ended.
  const end = await cpuSeconds();
  const own = (100 * (after.own - before.own)) / seconds;
  const children = (100 * (end.children - start.children)) / (seconds + WARM_UP_S);
  return {
    name,
    samplesPerSecond: (samplesAfter - samplesBefore) / seconds,
    ownPercent: own,
    childrenPercent: children,
    percent: own + children,
  };
}

try {
  const results = [await measure('calm link', -50), await measure('watched closely', -72)];
  const reached = results.every(({ percent }) => percent <= LIMIT_PERCENT);
  if (options.json)
    console.log(
      JSON.stringify({ schema: 1, seconds, limitPercent: LIMIT_PERCENT, results, reached }),
    );
  else {
    for (const { name, samplesPerSecond, percent, ownPercent, childrenPercent } of results)
      console.log(
        `${name}: ${samplesPerSecond.toFixed(1)} readings a second, ${percent.toFixed(2)} % of a core (${ownPercent.toFixed(2)} here, ${childrenPercent.toFixed(2)} in programs)`,
      );
    console.log(`goal: at most ${LIMIT_PERCENT} %: ${reached ? 'reached' : 'MISSED'}`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
