/** `npm run demo`: see options.ts for what it can be told, README.md for what it shows. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { asSojournError } from '../../src/common/index.ts';
import { loadTraces } from '../../src/link/index.ts';
import { enterLab, Lab } from '../lab/index.ts';
import { collectLogs, Evidence } from './evidence.ts';
import { computeFigures } from './figures.ts';
import { type DemoOptions, INTERRUPTED, LINKS, parseOptions, USAGE } from './options.ts';
import { complaints, demoResult, table } from './report.ts';
import { Scenario } from './scenario.ts';
import { Story } from './story.ts';
import { traceComplaints, traceResult, traceTable } from './trace-report.ts';
import { TraceScenario } from './trace-scenario.ts';
import { translationDemo } from './translation/index.ts';

/** Beside the access point, before the recording begins; bit/s. */
const STANDING_RATE = 100e6;
/** Recordings say nothing of delays, one way. */
const TRACE_DELAY_MS = 10;

/** Returns the exit code: 0 only when everything was as it must be. */
async function demo(options: DemoOptions): Promise<number> {
  const story = new Story((line) =>
    (options.json ? process.stderr : process.stdout).write(`${line}\n`),
  );
  const abort = new AbortController();
  const interrupted = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      abort.abort(new Error('interrupted'));
      interrupted.resolve();
    });
  if (options.trace !== undefined) return traceDemo(options, options.trace, story, abort.signal);
  if (options.topology === 'translation') return translationDemo(options, story, abort.signal);
  const { words, rateBitsPerSecond, delayMs } = LINKS[options.link];
  const way = { rateBitsPerSecond, delayMs };
  const lab = await story.step('networks', () => Lab.create({ up: way, down: way }));
  try {
    const evidence = new Evidence(
      resolve(options.evidence ?? mkdtempSync(join(lab.directory, 'e'))),
    );
    story.tell(
      `three networks are up: a laptop at home (${words}), a cloud site, and somebody else`,
    );
    const scenario = new Scenario({
      lab,
      evidence,
      story,
      link: options.link,
      signal: abort.signal,
    });
    const facts = await scenario.run().finally(() => {
      for (const [side, { state }] of scenario.places) collectLogs(state, evidence.path(side));
    });
    const figures = await story.step('figures', async () => computeFigures(evidence.directory));
    const wrong = complaints(figures, 2 * delayMs);
    const result = demoResult(facts, figures, story.phases, wrong.length === 0);
    writeFileSync(evidence.path('result.json'), `${JSON.stringify(result)}\n`);
    story.say(`\n${table(figures)}`);
    for (const complaint of wrong) story.say(`NOT AS IT MUST BE: ${complaint}`);
    if (options.evidence !== undefined) story.say(`\nEvidence: ${evidence.directory}`);
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (options.keep) await keep(scenario, lab, story, interrupted.promise);
    return wrong.length === 0 ? 0 : 1;
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    story.say('interrupted; everything is being taken down');
    return INTERRUPTED;
  } finally {
    await lab.close();
  }
}

/** As `demo`, with a laptop that moves as in a recording. */
async function traceDemo(
  options: DemoOptions,
  file: string,
  story: Story,
  signal: AbortSignal,
): Promise<number> {
  const [trace] = await loadTraces(file);
  if (trace === undefined) throw new Error(`${file} has no recording`);
  const way = { rateBitsPerSecond: STANDING_RATE, delayMs: TRACE_DELAY_MS };
  const lab = await story.step('networks', () => Lab.create({ up: way, down: way }));
  try {
    const evidence = new Evidence(
      resolve(options.evidence ?? mkdtempSync(join(lab.directory, 'e'))),
    );
    const scenario = new TraceScenario({ lab, evidence, story, trace, file, signal });
    const outcome = await scenario.run().finally(() => {
      for (const [side, { state }] of scenario.places) collectLogs(state, evidence.path(side));
    });
    const figures = await story.step('figures', async () => computeFigures(evidence.directory));
    const result = traceResult(outcome, figures, story.phases, evidence.client);
    writeFileSync(evidence.path('result.json'), `${JSON.stringify(result)}\n`);
    story.say(`\n${traceTable(result)}`);
    for (const complaint of traceComplaints(figures, result.outage))
      story.say(`NOT AS IT MUST BE: ${complaint}`);
    if (options.evidence !== undefined) story.say(`\nEvidence: ${evidence.directory}`);
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    return result.ok ? 0 : 1;
  } catch (error) {
    if (!signal.aborted) throw error;
    story.say('interrupted; everything is being taken down');
    return INTERRUPTED;
  } finally {
    await lab.close();
  }
}

async function keep(
  scenario: Scenario,
  lab: Lab,
  story: Story,
  interrupted: Promise<void>,
): Promise<void> {
  story.say('\nEverything keeps running until Ctrl-C. To look around, in another terminal:');
  for (const [side, { state }] of scenario.places) {
    const command = lab[side].command(['npm', 'run', '-s', 'sojourn', '--', 'status']);
    story.say(`  ${command.join(' ')} --state ${state}`);
  }
  story.say(`  ${lab.correspondent.command(['bash']).join(' ')}`);
  await interrupted;
}

async function main(): Promise<number> {
  let json = false;
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === undefined) {
      process.stdout.write(USAGE);
      return 0;
    }
    json = options.json;
    await enterLab();
    return await demo(options);
  } catch (error) {
    const known = asSojournError(error);
    const line = known.kind === 'internal' ? known.message : known.line;
    process.stderr.write(`demo: ${line}\n`);
    if (json) process.stdout.write(`${JSON.stringify({ schema: 1, ok: false, error: line })}\n`);
    return known.kind === 'usage' ? 2 : 1;
  }
}

process.exit(await main());
