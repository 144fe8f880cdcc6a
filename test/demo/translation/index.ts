/** `npm run demo -- --topology translation`: home addresses and mobile addresses, on Open vSwitch, between two sites. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SojournError } from '../../../src/common/index.ts';
import { SitesLab } from '../../lab/sites.ts';
import { Evidence } from '../evidence.ts';
import { computeFigures } from '../figures.ts';
import { type DemoOptions, INTERRUPTED } from '../options.ts';
import { demoResult, type TableWords, table } from '../report.ts';
import type { Story } from '../story.ts';
import { TranslationScenario } from './scenario.ts';
import { translationComplaints } from './verdict.ts';
import { readWire } from './wire.ts';

const WORDS: TableWords = {
  link: 'crossed between the hosts',
  plain: [
    '* Plain QEMU: what somebody noticed in one subnet, in which the guest keeps its address by itself.',
    '  Between the sites its address does not reach the other network at all.',
  ],
};

/** Returns the exit code: 0 only when everything was as it must be. */
export async function translationDemo(
  options: DemoOptions,
  story: Story,
  signal: AbortSignal,
): Promise<number> {
  requireOpenVSwitch();
  const lab = await story.step('networks', () => SitesLab.create());
  try {
    const evidence = new Evidence(
      resolve(options.evidence ?? mkdtempSync(join(lab.directory, 'e'))),
      ['site-a', 'site-b'],
    );
    story.tell('three routed networks are up, an Open vSwitch in each: sites A and B, and C');
    const facts = await new TranslationScenario({ lab, evidence, story, signal }).run();
    const figures = await story.step('figures', async () => computeFigures(evidence.directory));
    const wire = readWire(evidence.path('wire'), facts.mapping);
    const wrong = translationComplaints(figures, wire);
    const result = {
      ...demoResult(facts, figures, story.phases, wrong.length === 0),
      topology: 'translation',
      wire,
    };
    writeFileSync(evidence.path('result.json'), `${JSON.stringify(result)}\n`);
    story.say(`\n${table(figures, WORDS)}`);
    story.say(
      `Between the sites: ${wire.mobilePackets} packets with mobile addresses, ${wire.homePackets} with the guest's own.`,
    );
    for (const complaint of wrong) story.say(`NOT AS IT MUST BE: ${complaint}`);
    if (options.evidence !== undefined) story.say(`\nEvidence: ${evidence.directory}`);
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    return wrong.length === 0 ? 0 : 1;
  } catch (error) {
    if (!signal.aborted) throw error;
    story.say('interrupted; everything is being taken down');
    return INTERRUPTED;
  } finally {
    await lab.close();
  }
}

function requireOpenVSwitch(): void {
  const { error } = spawnSync('ovs-vswitchd', ['--version'], { stdio: 'ignore' });
  if (error === undefined) return;
  throw new SojournError({
    kind: 'requirement',
    code: 'ovs-missing',
    message: `Open vSwitch, which stands at every site of the translation, cannot be run: ${error.message}`,
    remedy: 'Install it (Debian: openvswitch-switch), or run "sh resources/setup.sh test"',
    cause: error,
  });
}
