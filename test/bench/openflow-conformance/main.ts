// `npm run bench -- openflow-conformance [--patterns DIR] [--only TEXT] [--target embedded|openvswitch] [--json]`: os-ken's
// switch tester over patterns of OpenFlow 1.3, against the embedded switch and Open vSwitch. Without --patterns those that
// come with it. A pattern that fails is tried once more, on either switch, as the tester takes a packet that comes late for that
// of the next pattern; each failure takes 3 s.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { enterLab } from '../../lab/index.ts';
import { contradictions } from './contradictions.ts';
import { keyOf, type PatternFile, readPatterns, writePatterns } from './patterns.ts';
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

/** The folder given, or that of the patterns that come with the bench. */
async function unpackPatterns(directory: string): Promise<string> {
  if (values.patterns !== undefined) return values.patterns;
  const all = join(directory, 'all');
  await mkdir(all);
  await execa('tar', ['-xJf', join(import.meta.dirname, 'patterns.tar.xz'), '-C', all]);
  return all;
}

/** A switch that refuses a message does so every time; a packet that comes late fails its pattern and the next. */
const isRefusal = ({ detail }: Verdict) => /OFPErrorMsg/.test(detail ?? '');

async function measure(target: Target, directory: string, files: PatternFile[]) {
  const wiring = await Wiring.create(target);
  const stop = () => void wiring.close().finally(() => process.exit(130));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const groups = new Set(files.map(({ group }) => group));
  const run = async (name: string, wanted: (group: string, pattern: string) => boolean) => {
    const folder = join(directory, `${target}-${name}`);
    if ((await writePatterns(folder, files, wanted)) === 0) return [];
    let group = '';
    return runTester(wiring, folder, groups, (verdict) => {
      if (verdict.group !== group) say(`${names[target]}: ${verdict.group}`);
      group = verdict.group;
      if (!verdict.passed) say(`  failed ${verdict.pattern}\n         ${verdict.detail}`);
    });
  };
  try {
    const verdicts = new Map((await run('first', () => true)).map((one) => [keyOf(one), one]));
    const doubtful = [...verdicts.values()].filter((one) => !one.passed && !isRefusal(one));
    const keys = new Set(doubtful.map(keyOf));
    say(`${names[target]}: ${keys.size} once more`);
    const again = await run('again', (group, pattern) => keys.has(keyOf({ group, pattern })));
    for (const verdict of again) verdicts.set(keyOf(verdict), verdict);
    return [...verdicts.values()];
  } finally {
    process.removeListener('SIGINT', stop);
    process.removeListener('SIGTERM', stop);
    await wiring.close();
  }
}

const isPbb = (verdict: Verdict) => /PBB|pbb|itag/.test(keyOf(verdict));

/** Why a switch that does as the specification says fails. */
function why(verdict: Verdict): string {
  const wrong = contradictions.find(({ pattern }) => pattern.test(keyOf(verdict)));
  return wrong === undefined ? '' : `\n    contradicts ${wrong.section}: ${wrong.reason}`;
}

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
  const all = await readPatterns(await unpackPatterns(directory));
  const files = all.filter(({ path }) => values.only === undefined || path.includes(values.only));
  for (const target of ['openvswitch', 'embedded'] as const) {
    if (values.target !== undefined && values.target !== target) continue;
    results.set(target, await measure(target, directory, files));
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}

const embedded = new Set(
  results
    .get('embedded')
    ?.filter(({ passed }) => passed)
    .map(keyOf),
);
const behind = (results.get('openvswitch') ?? []).filter(
  (verdict) => verdict.passed && !embedded.has(keyOf(verdict)),
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
  console.log(JSON.stringify({ targets, behindOpenVswitch: behind.map(keyOf), passed }));
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
  for (const [target, verdicts] of results)
    for (const verdict of verdicts.filter((one) => !one.passed))
      console.log(
        `${names[target]} fails: ${keyOf(verdict)}\n    ${verdict.detail}${why(verdict)}`,
      );
  for (const verdict of behind) console.log(`only Open vSwitch passes: ${keyOf(verdict)}`);
}
process.exitCode = passed ? 0 : 1;
