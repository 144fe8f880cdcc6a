import type { CallOutput } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import type { CommonOptions } from '../output.ts';
import { printable, table } from '../text.ts';
import { withAgent } from '../with-agent.ts';

type Audit = CallOutput<'guest.audit'>;

/** @throws SojournError `audit-failed` when the journal contradicts itself. */
export async function audit(guest: string | undefined, options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const found = await client.call('guest.audit', { guest });
    output.result(found, describeAudit(found));
    const [problem] = found.problems;
    if (problem === undefined) return;
    throw new SojournError({
      kind: 'internal',
      code: 'audit-failed',
      message: `The journal of ${found.place.name} contradicts itself: ${found.problems.join('; ')}`,
      remedy: 'Keep journal.jsonl of every place that had the guest, and report this',
    });
  });
}

export function describeAudit({ place, entries, problems }: Audit): string {
  const lines = table(
    ['GUEST', 'EPOCH', 'OWNER', 'FROM', 'UNTIL', 'BY'],
    entries.map(({ guest, epoch, owner, from, until, record }) => [
      guest.name,
      String(epoch),
      owner?.name ?? 'nobody',
      from,
      until ?? '-',
      record,
    ]),
  );
  if (entries.length === 0) return 'no guest was ever owned here';
  const verdict =
    problems.length === 0
      ? `One owner at a time, by the journal of ${place.name}.`
      : problems.map((problem) => `PROBLEM: ${problem}`).join('\n');
  return `${lines}\n\n${printable(verdict)}`;
}
