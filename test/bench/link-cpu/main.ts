/**
 * What watching the link costs: share of one core, with a stand-in for `iw` that prints what the real one does. First of a monitor alone
 * and of the programs it asks; then of a device's agent that has a running guest and a site, above the same agent without Wi-Fi.
 *
 *   npm run bench -- link-cpu [--json] [--seconds N]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { defaultRules, LinkMonitor, linuxWifiSensor } from '../../../src/link/index.ts';
import { situation } from '../../link/samples.ts';
import { processStat } from '../proc-stat.ts';
import { measureAgent } from './agent.ts';
import { writeIw } from './iw.ts';
import { LINKS } from './links.ts';

const LIMIT_PERCENT = 0.5;
const WARM_UP_S = 5;

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '60' },
  },
});
const seconds = Math.max(Number(options.seconds) || 60, 10);

const folder = await mkdtemp(join(tmpdir(), 'sojourn-link-cpu-'));
const iw = join(folder, 'iw');

/** CPU seconds of this process and of its children that have ended. */
function cpuSeconds(): { own: number; children: number } {
  const { user, system } = process.cpuUsage();
  return { own: (user + system) / 1e6, children: processStat('self').childrenCpuSeconds };
}

async function measure(name: string, dbm: number) {
  await writeIw(iw, dbm);
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
  const start = cpuSeconds();
  monitor.start();
  // The first readings compile code and find the interface.
  await sleep(WARM_UP_S * 1000);
  const [before, samplesBefore] = [cpuSeconds(), samples];
  await sleep(seconds * 1000);
  const [after, samplesAfter] = [cpuSeconds(), samples];
  await monitor.close();
  // What the programs took is known when the shell that ran them has ended.
  const end = cpuSeconds();
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
  const results = [];
  for (const { name, dbm } of LINKS) results.push(await measure(name, dbm));
  const agent = await measureAgent(folder, seconds);
  const reached = [...results, ...agent].every(({ percent }) => percent <= LIMIT_PERCENT);
  if (options.json)
    console.log(
      JSON.stringify({ schema: 1, seconds, limitPercent: LIMIT_PERCENT, results, agent, reached }),
    );
  else {
    for (const { name, samplesPerSecond, percent, ownPercent, childrenPercent } of results)
      console.log(
        `${name}: ${samplesPerSecond.toFixed(1)} readings a second, ${percent.toFixed(2)} % of a core (${ownPercent.toFixed(2)} here, ${childrenPercent.toFixed(2)} in programs)`,
      );
    for (const { name, percent, unwatchedPercent } of agent)
      console.log(
        `agent with a guest, ${name}: ${percent.toFixed(2)} % of a core more than the ${unwatchedPercent.toFixed(2)} % without Wi-Fi`,
      );
    console.log(`goal: at most ${LIMIT_PERCENT} %: ${reached ? 'reached' : 'MISSED'}`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
