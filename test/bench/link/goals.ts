/** Whether the forecast does what was asked of it, and if not, what stands in the way. */
import { Threshold } from './baselines.ts';
import type { Group } from './data.ts';
import { add, emptyOutcome, type Outcome, play } from './evaluate.ts';
import { residues, rowKey } from './policies.ts';

export const OF_ORACLE = 0.95;
export const LESS_AWAY = 0.2;

export type Rows = ReadonlyMap<string, Outcome>;

export interface Goal {
  /** Set, or set and band. */
  readonly scope: string;
  readonly residueBytes: number;
  readonly outages: number;
  readonly recall: number;
  readonly oracleRecall: number;
  readonly awayShare: number;
  readonly oracleAwayShare: number;
  readonly bestBaseline: {
    readonly name: string;
    readonly recall: number;
    readonly awayShare: number;
  };
  readonly lessAway: number;
  readonly reached: boolean;
  /** Why not. */
  readonly missing?: string;
}

interface Scope {
  readonly name: string;
  readonly keys: (residue: number) => string[];
  readonly groups: readonly Group[];
}

export function scopesOf(groups: readonly Group[]): Scope[] {
  const pairs = new Map<string, { set: string; band: string }>();
  for (const { sessions } of groups)
    for (const { set, band } of sessions) pairs.set(`${set} ${band} GHz`, { set, band });
  const scope = (name: string, of: { set: string; band: string }[]): Scope => ({
    name,
    keys: (residue) => of.map(({ set, band }) => rowKey(set, band, residue)),
    groups: groups.filter(({ sessions }) =>
      sessions.some((one) => of.some(({ set, band }) => set === one.set && band === one.band)),
    ),
  });
  const sets = Map.groupBy(pairs.values(), ({ set }) => set);
  return [
    scope('all', [...pairs.values()]),
    ...[...sets].map(([set, of]) => scope(set, of)),
    ...[...pairs].map(([name, pair]) => scope(name, [pair])),
  ];
}

export function sumOf(rows: Rows, keys: readonly string[]): Outcome {
  const sum = emptyOutcome();
  for (const key of keys) {
    const row = rows.get(key);
    if (row !== undefined) add(sum, row);
  }
  return sum;
}

export const recallOf = ({ saved, outages }: Outcome) => (outages === 0 ? 1 : saved / outages);
export const awayOf = ({ awayMs, connectedMs }: Outcome) => awayMs / Math.max(connectedMs, 1);

/** Best recall first, then least time away. */
function bestOf(baselines: ReadonlyMap<string, Rows>, keys: readonly string[]) {
  const all = [...baselines].map(([name, rows]) => {
    const sum = sumOf(rows, keys);
    return { name, recall: recallOf(sum), awayShare: awayOf(sum) };
  });
  all.sort((a, b) => b.recall - a.recall || a.awayShare - b.awayShare);
  return all[0] ?? { name: 'none', recall: 0, awayShare: 1 };
}

export function goals(
  groups: readonly Group[],
  forecast: Rows,
  oracle: Rows,
  baselines: ReadonlyMap<string, Rows>,
): Goal[] {
  return scopesOf(groups).flatMap((scope) =>
    residues
      .filter((bytes) => bytes <= 2e6)
      .flatMap((residueBytes) => {
        const keys = scope.keys(residueBytes);
        const ours = sumOf(forecast, keys);
        const ideal = sumOf(oracle, keys);
        // Without losses there is nothing to compare; false handoffs are in the table.
        if (ours.outages === 0) return [];
        const best = bestOf(baselines, keys);
        const [recall, oracleRecall] = [recallOf(ours), recallOf(ideal)];
        const [awayShare, oracleAwayShare] = [awayOf(ours), awayOf(ideal)];
        const lessAway = 1 - awayShare / Math.max(best.awayShare, 1e-9);
        const enough = recall >= OF_ORACLE * oracleRecall - 1e-9 && recall >= best.recall - 1e-9;
        const reached = enough && lessAway >= LESS_AWAY - 1e-9;
        const goal: Goal = {
          scope: scope.name,
          residueBytes,
          outages: ours.outages,
          recall,
          oracleRecall,
          awayShare,
          oracleAwayShare,
          bestBaseline: best,
          lessAway,
          reached,
        };
        if (reached) return [goal];
        const target = (1 - LESS_AWAY) * best.awayShare;
        return [{ ...goal, missing: bound(scope, residueBytes, target, oracleAwayShare) }];
      }),
  );
}

/** What nobody, or no rule of levels, can do on these recordings. */
function bound(scope: Scope, residueBytes: number, target: number, oracleShare: number): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  if (oracleShare > target)
    return `impossible: hindsight itself is away ${percent(oracleShare)}, the goal is ${percent(target)}`;
  const level = levelBound(scope.groups, residueBytes);
  const text = `the best level for each link, chosen with hindsight, saves ${level.saved} of ${level.outages} and is away ${percent(awayOf(level))}; the goal is ${percent(target)}`;
  return awayOf(level) > target ? `out of reach of every rule of levels: ${text}` : text;
}

/** For each link the level that saves most and, among those, is least away. */
function levelBound(groups: readonly Group[], residueBytes: number): Outcome {
  const total = emptyOutcome();
  for (const { sessions } of groups) {
    let best: Outcome | undefined;
    for (let dbm = -90; dbm <= -50; dbm++) {
      const sum = emptyOutcome();
      for (const session of sessions) add(sum, play(session, new Threshold(dbm), residueBytes));
      const better =
        best === undefined ||
        sum.saved > best.saved ||
        (sum.saved === best.saved && sum.awayMs < best.awayMs);
      if (better) best = sum;
    }
    if (best !== undefined) add(total, best);
  }
  return total;
}
