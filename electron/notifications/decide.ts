/**
 * What to tell a person, and when: pure, with the time as an argument. Calm by design: nothing that the window shows
 * already, nothing that has only just begun to be true, nothing twice while it lasts, nor within a quarter of an hour, and what comes
 * together is told together.
 */
import type { GuestView, Status } from '../../src/api/index.ts';
import { problemsOf, type Route } from '../../src/ui/index.ts';
import type { Action } from '../tray/index.ts';
import type { Words } from '../words/index.ts';

export type Severity = 'info' | 'warning' | 'error';

export interface Message {
  /** The same for the same thing. */
  readonly key: string;
  readonly severity: Severity;
  readonly title: string;
  readonly body: string;
  readonly route: Route;
  /** It runs out: it waits for nothing, and stands by itself. */
  readonly urgent?: boolean;
  /** What can be done at once, where the desktop shows buttons. */
  readonly buttons?: readonly { readonly label: string; readonly action: Action }[];
}

/** What has to be known of before. */
export interface Memory {
  /** States of guests as they were last seen; undefined before the first status. */
  readonly guests: ReadonlyMap<string, Seen> | undefined;
  /** What is wrong, and was told or will be: one that lasts is not told again. */
  readonly problems: ReadonlySet<string>;
  /** When each thing was told, ms. */
  readonly told: ReadonlyMap<string, number>;
  readonly lastMs: number;
  /** Waits for its turn. */
  readonly waiting: readonly Message[];
}

interface Seen {
  readonly kind: GuestView['state']['kind'];
}

export const noMemory: Memory = {
  guests: undefined,
  problems: new Set(),
  told: new Map(),
  lastMs: Number.NEGATIVE_INFINITY,
  waiting: [],
};

/** The same thing is not told again within this time. */
const REPEAT_MS: Readonly<Record<Severity, number>> = {
  info: 60_000,
  warning: 15 * 60_000,
  error: 15 * 60_000,
};
/** Between two notifications; an error does not wait. */
const SPACING_MS = 20_000;
/** More at once become one. */
const MAX_SEPARATE = 2;
const MAX_WAITING = 16;

export interface Decision {
  readonly memory: Memory;
  readonly show: readonly Message[];
}

/** @param watched a person sees the window, which shows all of this */
export function decide(
  memory: Memory,
  status: Status,
  nowMs: number,
  watched: boolean,
  words: Words,
): Decision {
  const guests = new Map(status.guests.map(({ id, state }) => [id, { kind: state.kind }]));
  const wrong = problemMessages(status, nowMs);
  const problems = new Set(wrong.map(({ key }) => key));
  const news = [
    ...questions(status, words),
    ...moves(memory.guests, status, words),
    ...wrong.filter(({ key }) => !memory.problems.has(key)),
  ];
  const fresh = news.filter(({ key, severity }) => {
    const told = memory.told.get(key);
    return told === undefined || nowMs - told >= REPEAT_MS[severity];
  });
  const told = new Map([...memory.told].filter(([, at]) => nowMs - at < REPEAT_MS.error));
  for (const { key } of fresh) told.set(key, nowMs);
  const seen = { guests, problems, told };
  // What was seen in the window counts as told, and so does what waits.
  if (watched) return { memory: { ...memory, ...seen, waiting: [] }, show: [] };
  const waiting = [...memory.waiting, ...fresh].slice(-MAX_WAITING);
  const urgent = waiting.some((message) => message.urgent || message.severity === 'error');
  const due = waiting.length > 0 && (urgent || nowMs - memory.lastMs >= SPACING_MS);
  if (!due) return { memory: { ...memory, ...seen, waiting }, show: [] };
  return {
    memory: { ...seen, lastMs: nowMs, waiting: [] },
    show: [...waiting.filter((message) => message.urgent), ...calm(waiting, words)],
  };
}

/** What can wait comes as one, if it is much. */
function calm(waiting: readonly Message[], words: Words): readonly Message[] {
  const rest = waiting.filter((message) => !message.urgent);
  return rest.length > MAX_SEPARATE ? [grouped(rest, words)] : rest;
}

/** Guests of other places that ask to come in. */
function questions(status: Status, { incoming: words }: Words): Message[] {
  return (status.incoming ?? []).map(({ id, guest, from, memoryMiB }) => {
    const answer = (label: string, said: 'once' | 'always' | 'refuse') => ({
      label,
      action: { do: 'answer', incoming: id, answer: said } as const,
    });
    return {
      key: `incoming:${id}`,
      severity: 'warning',
      urgent: true,
      title: words.asks(guest.name, from.name),
      body: words.uses(`${memoryMiB} MiB`),
      route: { view: 'dashboard' },
      buttons: [
        answer(words.accept, 'once'),
        answer(words.refuse, 'refuse'),
        answer(words.always(from.name), 'always'),
      ],
    };
  });
}

/** Where guests came and went since the last status. */
function moves(before: Memory['guests'], status: Status, words: Words): Message[] {
  if (before === undefined) return [];
  return status.guests.flatMap((guest): Message[] => {
    const was = before.get(guest.id)?.kind;
    const { state } = guest;
    if (was === undefined || was === state.kind) return [];
    const { notification } = words;
    const about = {
      key: `${guest.id}:${state.kind}`,
      route: { view: 'guest', guest: guest.id },
    } as const;
    switch (state.kind) {
      case 'elsewhere':
        if (was !== 'moving-out') return [];
        return [
          {
            ...about,
            severity: 'info',
            title: notification.moved(guest.name, state.place.name),
            body: '',
          },
        ];
      case 'running':
        if (was !== 'moving-in') return [];
        return [{ ...about, severity: 'info', title: notification.back(guest.name), body: '' }];
      case 'crashed':
        return [
          {
            ...about,
            severity: 'error',
            title: notification.crashed(guest.name),
            body: state.reason,
          },
        ];
      case 'in-doubt':
        return [
          {
            ...about,
            severity: 'error',
            title: notification.inDoubt(guest.name),
            body: state.explanation,
          },
        ];
      default:
        return [];
    }
  });
}

function problemMessages(status: Status, nowMs: number): Message[] {
  return problemsOf(status, nowMs)
    .filter(({ severity }) => severity !== 'info')
    .map(({ key, severity, text, remedy, guest }) => ({
      key,
      severity,
      title: guest === null ? text : `${guest.name}: ${text}`,
      body: remedy ?? '',
      route: guest === null ? { view: 'problems' } : { view: 'guest', guest: guest.id },
    }));
}

function grouped(messages: readonly Message[], words: Words): Message {
  const severity = (['error', 'warning'] as const).find((one) =>
    messages.some((message) => message.severity === one),
  );
  return {
    key: 'several',
    severity: severity ?? 'info',
    title: words.notification.several(messages.length),
    body: messages.map(({ title }) => title).join('\n'),
    route: { view: 'problems' },
  };
}
