/** The bench's figures as text. */
import type { Report } from './main.ts';

export function print(report: Report): void {
  console.log(
    `${report.recordings} recordings below ${report.data}; ${report.crossValidated} of them judged with parameters fitted on the other half`,
  );
  console.log(`${report.notLosses.length} silences are not losses (see "notLosses" of --json)\n`);
  const header =
    'set       band  MB     policy    recall         late missed false/h  lead p10/p50 s  away';
  let last = '';
  for (const row of report.rows.toSorted(byPlace)) {
    const place = `${row.set.padEnd(9)} ${row.band.padEnd(5)} ${mb(row.residueBytes).padEnd(6)}`;
    if (place !== last) console.log(`\n${header}`);
    last = place;
    const lead = [row.leadP10Ms, row.leadP50Ms].map((ms) =>
      ms === null ? '-' : (ms / 1000).toFixed(1),
    );
    console.log(
      [
        place,
        row.policy.padEnd(9),
        `${percent(row.recall)} ${String(row.saved).padStart(3)}/${String(row.outages).padEnd(3)}`,
        String(row.late).padStart(5),
        String(row.missed).padStart(6),
        row.falsePerHour.toFixed(1).padStart(7),
        lead.join(' / ').padStart(15),
        percent(row.awayShare),
      ].join(' '),
    );
  }
  console.log('\nGoals: recall >= 95 % of hindsight and >= the best baseline, 20 % less time away');
  printGoals(report.goals);
  console.log('\nThe same if every silence counts as a loss of the link:');
  printGoals(report.goalsCountingEverySilence.filter(({ scope }) => !scope.includes(' ')));
  const desks = report.goodSpots;
  if (desks === null) return;
  console.log(
    `\nGood spots: ${desks.spots}, ${desks.recordedHours.toFixed(1)} h recorded, ${desks.bootstrappedHours.toFixed(1)} h bootstrapped`,
  );
  for (const row of desks.residues)
    console.log(
      `  ${mb(row.residueBytes)} MB: ${row.recordedHandoffs} recorded, ${row.bootstrappedHandoffs} bootstrapped (${row.falsePerHour.toFixed(2)} per hour)`,
    );
}

function printGoals(goals: Report['goals']): void {
  for (const goal of goals) {
    const { name, recall, awayShare } = goal.bestBaseline;
    const ours = `recall ${percent(goal.recall)} (hindsight ${percent(goal.oracleRecall)}, ${name} ${percent(recall)})`;
    const away = `away ${percent(goal.awayShare)} (${name} ${percent(awayShare)}: ${(100 * goal.lessAway).toFixed(0)} % less)`;
    const place = `${goal.scope.padEnd(14)} ${mb(goal.residueBytes).padEnd(4)} MB`;
    console.log(`${goal.reached ? 'reached' : 'MISSED '}  ${place}  ${ours}, ${away}`);
    if (goal.missing !== undefined) console.log(`         ${goal.missing}`);
  }
}

type Row = Report['rows'][number];

function byPlace(a: Row, b: Row): number {
  return (
    a.set.localeCompare(b.set) || a.band.localeCompare(b.band) || a.residueBytes - b.residueBytes
  );
}

const percent = (share: number) => `${(100 * share).toFixed(1).padStart(5)} %`;
const mb = (bytes: number) => `${bytes / 1e6}`;
