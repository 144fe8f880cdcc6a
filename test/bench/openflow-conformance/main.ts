// `npm run bench -- openflow-conformance [--patterns DIR] [--only TEXT] [--target embedded|openvswitch] [--json]`: os-ken's
// switch tester over patterns of OpenFlow 1.3, against the embedded switch and Open vSwitch. Without --patterns those that
// come with it. A pattern that fails takes 3 s, as the tester waits that long for a packet.

import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { enterLab } from '../../lab/index.ts';
import { runTester, type Verdict } from './tester.ts';
import { type Target, Wiring } from './wiring.ts';

const { values } = parseArgs({
  options: {
    patterns: { type: 'string' },
    only: { type: 'string' },
    target: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const names: Readonly<Record<Target, string>> = {
  embedded: 'embedded switch',
  openvswitch: 'Open vSwitch',
};

function say(text: string): void {
  if (!values.json) console.log(text);
}

/** A folder with the patterns whose path contains `only`. */
async function choosePatterns(directory: string): Promise<string> {
  const all = join(directory, 'all');
  await mkdir(all);
  if (values.patterns === undefined)
    await execa('tar', ['-xJf', join(import.meta.dirname, 'patterns.tar.xz'), '-C', all]);
  const source = values.patterns ?? all;
  const { only } = values;
  if (only === undefined) return source;
  const chosen = join(directory, 'chosen');
  const entries = await readdir(source, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map((entry) => relative(source, join(entry.parentPath, entry.name)));
  for (const file of files.filter((one) => one.includes(only)))
    await cp(join(source, file), join(chosen, file), { recursive: true });
  return chosen;
}

async function measure(target: Target, patterns: string): Promise<Verdict[]> {
  const wiring = await Wiring.create(target);
  const stop = () => void wiring.close().finally(() => process.exit(130));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    let group = '';
    return await runTester(wiring, patterns, (verdict) => {
      if (verdict.group !== group) say(`${names[target]}: ${verdict.group}`);
      group = verdict.group;
      if (!verdict.passed) say(`  FAILED ${verdict.pattern}\n         ${verdict.detail}`);
    });
  } finally {
    process.removeListener('SIGINT', stop);
    process.removeListener('SIGTERM', stop);
    await wiring.close();
  }
}

const isPbb = ({ group }: Verdict) => group.includes('PBB');

function count(verdicts: readonly Verdict[]) {
  const passed = verdicts.filter(({ passed }) => passed).length;
  return { passed, failed: verdicts.length - passed, total: verdicts.length };
}

function line(name: string, verdicts: readonly Verdict[]): string {
  const { passed, failed, total } = count(verdicts);
  const share = total === 0 ? '' : ` (${((100 * passed) / total).toFixed(1)} %)`;
  return `${name.padEnd(36)} ${passed} passed, ${failed} failed of ${total}${share}`;
}

await enterLab();
const directory = await mkdtemp(join(tmpdir(), 'ofc-patterns-'));
const results = new Map<Target, Verdict[]>();
try {
  const patterns = await choosePatterns(directory);
  for (const target of ['openvswitch', 'embedded'] as const) {
    if (values.target !== undefined && values.target !== target) continue;
    results.set(target, await measure(target, patterns));
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}

const key = ({ group, pattern }: Verdict) => `${group} ${pattern}`;
const embedded = new Set(
  results
    .get('embedded')
    ?.filter(({ passed }) => passed)
    .map(key),
);
const behind = (results.get('openvswitch') ?? []).filter(
  (verdict) => verdict.passed && !embedded.has(key(verdict)),
);
const ours = results.get('embedded') ?? [];
const withoutPbb = count(ours.filter((verdict) => !isPbb(verdict)));
const enough =
  !results.has('embedded') ||
  withoutPbb.total === 0 ||
  withoutPbb.passed / withoutPbb.total >= 0.97;
const passed = enough && (results.size < 2 || behind.length === 0);

if (values.json) {
  const targets = [...results].map(([target, verdicts]) => ({
    target,
    ...count(verdicts),
    withoutPbb: count(verdicts.filter((verdict) => !isPbb(verdict))),
    failures: verdicts.filter((verdict) => !verdict.passed),
  }));
  console.log(JSON.stringify({ targets, behindOpenVswitch: behind.map(key), passed }));
} else {
  console.log();
  for (const [target, verdicts] of results) {
    console.log(line(names[target], verdicts));
    console.log(
      line(
        '  without PBB',
        verdicts.filter((verdict) => !isPbb(verdict)),
      ),
    );
  }
  for (const verdict of behind) console.log(`only Open vSwitch passes: ${key(verdict)}`);
}
process.exitCode = passed ? 0 : 1;
