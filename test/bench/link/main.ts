/**
 * How well losses of a link are foreseen, on recordings:  npm run bench -- link [--json] [--data DIR] [--fit [--rounds N]]
 *
 * DIR holds recordings of any of the formats of `src/link/traces`, in folders that name the sets. For recordings that parameters were
 * fitted on, the figures are cross-validated: each half is judged with parameters fitted on the other. `--fit` fits them anew.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import {
  type ForecastParameters,
  forecastParameters,
  forecastParametersSchema,
} from '../../../src/link/index.ts';
import { type Data, type Group, isGoodSpot, loadData } from './data.ts';
import { deskGroups } from './desks.ts';
import type { Outcome } from './evaluate.ts';
import { fitParameters, halves } from './fit.ts';
import { awayOf, goals, type Rows, recallOf } from './goals.ts';
import { baselines, forecastPolicy, oracle, playAll, residues } from './policies.ts';
import { print } from './report.ts';

const root = join(import.meta.dirname, '../../..');
const foldsFile = join(import.meta.dirname, 'folds.json');
const parametersFile = join(root, 'src/link/forecast/parameters.json');

const foldsSchema = z.array(
  z.object({ fittedOn: z.array(z.string()), parameters: forecastParametersSchema }),
);
type Folds = z.infer<typeof foldsSchema>;

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    data: { type: 'string', default: join(root, 'resources/traces') },
    fit: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '6000' },
  },
});

const data = await loadData(options.data);
if (data.groups.length === 0) {
  console.error(`There are no recordings of a known format below ${options.data}`);
  process.exitCode = 2;
} else {
  if (options.fit) await fitAll(data, Number(options.rounds));
  const report = await evaluate(data, await loadData(options.data, true));
  if (options.json) console.log(JSON.stringify(report));
  else print(report);
}

async function fitAll({ groups }: Data, rounds: number): Promise<void> {
  const [a, b] = halves(groups);
  const folds = [a, b].map((half) => ({
    fittedOn: half.map(({ id }) => id),
    parameters: fitParameters(half, rounds),
  }));
  await writeFile(foldsFile, `${JSON.stringify(folds, null, 2)}\n`);
  await writeFile(parametersFile, `${JSON.stringify(fitParameters(groups, rounds), null, 2)}\n`);
  console.error('Fitted; run "npm run format", and the bench again for the figures');
}

export type Report = Awaited<ReturnType<typeof evaluate>>;

async function evaluate({ groups, cuts }: Data, everySilence: Data) {
  const folds = foldsSchema.parse(JSON.parse(await readFile(foldsFile, 'utf8')));
  const forecast = playAll(
    groups,
    forecastPolicy((group) => parametersFor(group, folds)),
  );
  const ideal = playAll(groups, oracle);
  const others = new Map(
    Object.entries(baselines).map(([name, policy]) => [name, playAll(groups, policy)]),
  );
  const policies = new Map<string, Rows>([['forecast', forecast], ['oracle', ideal], ...others]);
  const validated = groups.filter((group) => foldOf(group, folds) !== undefined).length;
  return {
    schema: 1,
    data: options.data,
    recordings: groups.length,
    crossValidated: validated,
    notLosses: cuts,
    parameters: forecastParameters,
    rows: [...policies].flatMap(([policy, rows]) =>
      [...rows].map(([key, outcome]) => rowOf(policy, key, outcome)),
    ),
    goals: goals(groups, forecast, ideal, others),
    goalsCountingEverySilence: literalGoals(everySilence, folds),
    goodSpots: atDesks(groups, folds),
  };
}

/** The same for all silences, also those of senders that were switched off and of the end of an experiment. */
function literalGoals({ groups }: Data, folds: Folds) {
  const forecast = playAll(
    groups,
    forecastPolicy((group) => parametersFor(group, folds)),
  );
  const others = Object.entries(baselines).map(
    ([name, policy]) => [name, playAll(groups, policy)] as const,
  );
  return goals(groups, forecast, playAll(groups, oracle), new Map(others));
}

function foldOf({ id }: Group, folds: Folds): number | undefined {
  const index = folds.findIndex(({ fittedOn }) => fittedOn.includes(id));
  return index < 0 ? undefined : index;
}

/** Those fitted on the other half; the final ones for a recording that no half has. */
function parametersFor(group: Group, folds: Folds): ForecastParameters {
  const index = foldOf(group, folds);
  if (index === undefined) return forecastParameters;
  return folds[1 - index]?.parameters ?? forecastParameters;
}

function rowOf(policy: string, key: string, outcome: Outcome) {
  const [set = '', band = '', residue = ''] = key.split('|');
  const leads = outcome.leadMs.toSorted((a, b) => a - b);
  const quantile = (share: number) => leads[Math.floor(share * (leads.length - 1))] ?? null;
  const hours = outcome.connectedMs / 3_600_000;
  return {
    policy,
    set,
    band,
    residueBytes: Number(residue),
    outages: outcome.outages,
    recall: recallOf(outcome),
    saved: outcome.saved,
    stillAway: outcome.stillAway,
    late: outcome.late,
    missed: outcome.missed,
    handoffs: outcome.handoffs,
    falsePerHour: outcome.falseHandoffs / Math.max(hours, 1e-9),
    leadP10Ms: quantile(0.1),
    leadP50Ms: quantile(0.5),
    awayShare: awayOf(outcome),
    connectedHours: hours,
  };
}

/** False handoffs where nobody moves and the signal is good: as recorded, and over hours made from it. */
function atDesks(groups: readonly Group[], folds: Folds) {
  const long = deskGroups(groups);
  if (long.length === 0) return null;
  const named = new Map(groups.flatMap((g) => g.sessions.map(({ id }) => [`desk of ${id}`, g])));
  const ofGroup = (group: Group) => parametersFor(named.get(group.id) ?? group, folds);
  const recorded = groups
    .map(({ id, sessions }) => ({ id, sessions: sessions.filter(isGoodSpot) }))
    .filter(({ sessions }) => sessions.length > 0);
  const count = (rows: Rows) => [...rows.values()].reduce((sum, row) => sum + row.handoffs, 0);
  const hours = (of: readonly Group[]) =>
    of.flatMap(({ sessions }) => sessions).reduce((sum, { connectedMs }) => sum + connectedMs, 0) /
    3_600_000;
  return {
    spots: long.length,
    recordedHours: hours(recorded),
    bootstrappedHours: hours(long),
    residues: residues.map((residueBytes) => {
      const policy = forecastPolicy(ofGroup);
      const bootstrapped = count(playAll(long, policy, [residueBytes]));
      return {
        residueBytes,
        recordedHandoffs: count(playAll(recorded, policy, [residueBytes])),
        bootstrappedHandoffs: bootstrapped,
        falsePerHour: bootstrapped / hours(long),
        baselinesPerHour: Object.fromEntries(
          Object.entries(baselines).map(([name, baseline]) => [
            name,
            count(playAll(long, baseline, [residueBytes])) / hours(long),
          ]),
        ),
      };
    }),
  };
}
