/** Everything that a person should know or do, as one list. */
import type { CheckView, Notice, Status } from '../../api/schema.ts';

export interface Problem {
  /** Stable while the problem lasts. */
  readonly key: string;
  readonly severity: Notice['severity'];
  readonly text: string;
  readonly remedy: string | null;
  /** The guest that it is about. */
  readonly guest: { readonly id: string; readonly name: string } | null;
  readonly since: string | null;
}

const order = { error: 0, warning: 1, info: 2 } as const;

/** Those that have been true long enough to be shown, the gravest first. */
export function problemsOf(status: Status, nowMs: number): Problem[] {
  const general = status.warnings.map((notice) => ({ notice, guest: null }));
  const ofGuests = status.guests.flatMap((guest) =>
    guest.notices.map((notice) => ({ notice, guest: { id: guest.id, name: guest.name } })),
  );
  return [...general, ...ofGuests]
    .filter(({ notice }) => Date.parse(notice.since) + notice.showAfterMs <= nowMs)
    .map(({ notice, guest }) => ({
      key: `${guest?.id ?? ''}:${notice.code}`,
      severity: notice.severity,
      text: notice.text,
      remedy: notice.remedy ?? null,
      guest,
      since: notice.since,
    }))
    .toSorted((a, b) => order[a.severity] - order[b.severity]);
}

const severities = { fail: 'error', warn: 'warning' } as const;

/** What the examination of this machine found to be wrong or weak. */
export function problemsOfChecks(checks: readonly CheckView[]): Problem[] {
  return checks
    .flatMap(({ id, status, text, remedy }) =>
      status === 'ok'
        ? []
        : [
            {
              key: `check:${id}`,
              severity: severities[status],
              text,
              remedy: remedy ?? null,
              guest: null,
              since: null,
            },
          ],
    )
    .toSorted((a, b) => order[a.severity] - order[b.severity]);
}

/** Those that call for somebody to do something. */
export function pressing(problems: readonly Problem[]): number {
  return problems.filter(({ severity }) => severity !== 'info').length;
}
