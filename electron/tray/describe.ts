/** The whole tray as a function of what is known: icon, tooltip and menu. */
import type { GuestView, Status } from '../../src/api/index.ts';
import { type Problem, problemsOf, type Safety, safetyOf } from '../../src/ui/index.ts';
import type { AgentState } from '../agent/index.ts';
import { type Language, wordsOf } from '../words/index.ts';
import { linkQuality } from './figures.ts';
import { type GuestContext, itemsOf, sentenceOf } from './guest-items.ts';
import { nameLabel, sentenceLabel } from './label.ts';
import type { Action, IconName, Item, ReceiveMode, Setting, TrayDescription } from './types.ts';

export interface TrayInput {
  readonly agent: AgentState;
  readonly appVersion: string;
  readonly language: Language;
  /** Undefined where this system has no such thing. */
  readonly startAtLogin: boolean | undefined;
  readonly notifications: boolean;
  readonly screenOnArrival: boolean;
  /** Undefined where nobody offers updates. */
  readonly automaticUpdates: boolean | undefined;
  readonly estimates: ReadonlyMap<string, number>;
}

const MAX_TOOLTIP_LINES = 5;
/** A loss of the link that is nearer than this is worth a line, s. */
const SOON_S = 60;
const separator: Item = { kind: 'separator' };

export function describeTray(input: TrayInput): TrayDescription {
  const { agent, language } = input;
  const words = wordsOf(language);
  const status = agent.kind === 'connected' ? agent.status : undefined;
  const problems = status === undefined ? [] : problemsOf(status, Date.parse(status.at));
  const sentences = status === undefined ? [] : guestSentences(status, input);
  const head = [...agentItems(input), ...guestItems(status, sentences, input)];
  return {
    icon: iconOf(agent, status, problems),
    tooltip: tooltipOf(head, sentences),
    menu: [
      ...incomingItems(status, input),
      ...head,
      separator,
      ...problemItems(problems, input),
      ...linkItems(status, input),
      ...automaticItems(status, input),
      ...receiveItems(status, input),
      separator,
      open(words.general.openWindow, { do: 'open', route: { view: 'dashboard' } }),
      settingsItem(input),
      open(words.general.quit, { do: 'quit' }),
    ],
  };
}

const open = (label: string, action: Action): Item => ({ kind: 'action', label, action });
const text = (label: string): Item => ({ kind: 'text', label });

function agentItems({ agent, appVersion, language }: TrayInput): Item[] {
  const { agent: words } = wordsOf(language);
  switch (agent.kind) {
    case 'looking':
    case 'starting':
    case 'replacing':
      return [text(words[agent.kind])];
    case 'failed':
      return [
        text(words.failed),
        text(nameLabel(agent.error.message)),
        open(words.tryAgain, { do: 'retry-agent' }),
      ];
    case 'foreign':
      return [
        text(words.foreign(nameLabel(agent.greeting.version))),
        open(words.replace, { do: 'replace-agent' }),
      ];
    case 'connected':
      if (agent.status === undefined) return [text(words.looking)];
      if (agent.version === appVersion) return [];
      return [
        text(words.older(nameLabel(agent.version))),
        open(words.replace, { do: 'replace-agent' }),
      ];
  }
}

function guestSentences(status: Status, input: TrayInput): string[] {
  return status.guests.map((guest) => sentenceOf(guest, contextOf(status, input)));
}

function contextOf(status: Status, { language, estimates }: TrayInput): GuestContext {
  return { words: wordsOf(language), language, places: status.places, estimates };
}

/** One guest lies open; several have a submenu each, named by their state. */
function guestItems(
  status: Status | undefined,
  sentences: readonly string[],
  input: TrayInput,
): Item[] {
  if (status === undefined) return [];
  const { guests } = status;
  const [only] = guests;
  const { agent: words } = wordsOf(input.language);
  if (only === undefined) {
    const setUp: Action = { do: 'open', route: { view: 'setup' } };
    return [text(words.noGuests), open(words.setUp, setUp)];
  }
  const items = (guest: GuestView) => itemsOf(guest, contextOf(status, input));
  if (guests.length === 1) return [...sentences.map(text), ...items(only)];
  return guests.map((guest, index) => ({
    kind: 'submenu',
    label: sentences[index] ?? guest.name,
    items: items(guest),
  }));
}

function problemItems(problems: readonly Problem[], { language }: TrayInput): Item[] {
  const count = problems.filter(({ severity }) => severity !== 'info').length;
  if (count === 0) return [];
  const action: Action = { do: 'open', route: { view: 'problems' } };
  return [open(wordsOf(language).general.problems(count), action)];
}

/** A line for each site, or that there is none. */
function linkItems(status: Status | undefined, { language }: TrayInput): Item[] {
  if (status === undefined) return [];
  const { link } = wordsOf(language);
  const sites = status.places.filter(({ self, profile }) => !self && profile === 'site');
  const left = status.link?.forecast?.secondsLeft ?? null;
  if (left !== null && left <= SOON_S) return [text(link.failing)];
  if (sites.length === 0) return status.agent.profile === 'site' ? [] : [text(link.none)];
  return sites.map(({ name, connected, rttMs }) =>
    text(link[linkQuality(connected, rttMs)](nameLabel(name))),
  );
}

/** Whether guests leave before the link is lost; only where the agent watches one. */
function automaticItems(status: Status | undefined, { language }: TrayInput): Item[] {
  if (status?.link === undefined) return [];
  const { automatic } = status.link.policy;
  const { general } = wordsOf(language);
  const action: Action = { do: 'automatic', to: !automatic };
  return [
    { kind: 'choice', label: general.automatic, chosen: automatic, exclusive: false, action },
  ];
}

/** Whether guests of other places may come: from all, and from each of which something else is said. */
function receiveItems(status: Status | undefined, { language }: TrayInput): Item[] {
  if (status?.receiving === undefined) return [];
  const { receive } = wordsOf(language);
  const choices = (place: string | undefined, mode: ReceiveMode): Item[] =>
    (['off', 'ask', 'always'] as const).map((one) => ({
      kind: 'choice',
      label: receive[one],
      chosen: mode === one,
      exclusive: true,
      action: { do: 'receive', place, mode: one },
    }));
  const places = status.places.flatMap(({ id, name, rights }): Item[] =>
    rights === undefined
      ? []
      : [{ kind: 'submenu', label: nameLabel(name), items: choices(id, rights.receive) }],
  );
  const pair = open(receive.nearby, { do: 'open', route: { view: 'nearby' } });
  const items = [...choices(undefined, status.receiving.receive), separator, ...places, pair];
  return [{ kind: 'submenu', label: receive.title, items }];
}

/** Guests of other places that ask to come in. */
function incomingItems(status: Status | undefined, { language }: TrayInput): Item[] {
  const { incoming: words } = wordsOf(language);
  return (status?.incoming ?? []).map(({ id, guest, from }) => {
    const answer = (label: string, said: 'once' | 'always' | 'refuse') =>
      open(label, { do: 'answer', incoming: id, answer: said });
    return {
      kind: 'submenu',
      label: sentenceLabel(words.asks(nameLabel(guest.name), nameLabel(from.name))),
      items: [
        answer(words.accept, 'once'),
        answer(words.always(nameLabel(from.name)), 'always'),
        answer(words.refuse, 'refuse'),
      ],
    };
  });
}

function settingsItem(input: TrayInput): Item {
  const { general } = wordsOf(input.language);
  const settings: readonly Setting[] = [
    'startAtLogin',
    'notifications',
    'screenOnArrival',
    'automaticUpdates',
  ];
  const items = settings.flatMap((setting): Item[] => {
    const chosen = input[setting];
    if (chosen === undefined) return [];
    const action: Action = { do: 'set', setting, to: !chosen };
    return [{ kind: 'choice', label: general[setting], chosen, exclusive: false, action }];
  });
  const all = open(general.moreSettings, { do: 'open', route: { view: 'settings' } });
  return { kind: 'submenu', label: general.settings, items: [...items, separator, all] };
}

function tooltipOf(head: readonly Item[], sentences: readonly string[]): string {
  const first = head.find((item) => item.kind === 'text');
  const lines = sentences.length > 0 ? sentences : first?.kind === 'text' ? [first.label] : [];
  const shown = lines.slice(0, MAX_TOOLTIP_LINES);
  if (lines.length > shown.length) shown.push('…');
  return shown.join('\n');
}

/** The gravest first: one icon stands for all guests. */
const gravity: readonly IconName[] = [
  'problem',
  'receiving',
  'moving',
  'at-risk',
  'here',
  'safe',
  'elsewhere',
  'waiting',
];

function iconOf(
  agent: AgentState,
  status: Status | undefined,
  problems: readonly Problem[],
): IconName {
  if (agent.kind === 'failed' || agent.kind === 'foreign') return 'problem';
  if (problems.some(({ severity }) => severity === 'error')) return 'problem';
  if ((status?.incoming ?? []).length > 0) return 'receiving';
  const icons = (status?.guests ?? []).map((guest) => guestIcon(safetyOf(guest)));
  return gravity.find((icon) => icons.includes(icon)) ?? 'waiting';
}

function guestIcon(safety: Safety): IconName {
  if (safety.tone === 'problem') return 'problem';
  switch (safety.kind) {
    case 'armed':
      return safety.hindrance === null ? 'safe' : 'at-risk';
    case 'waiting':
    case 'unavailable':
      return 'at-risk';
    case 'alone':
    case 'filling':
    case 'starting':
      return 'here';
    case 'moving':
      return safety.direction === 'in' ? 'receiving' : 'moving';
    case 'away':
      return safety.there === 'stopped' ? 'waiting' : 'elsewhere';
    default:
      return 'waiting';
  }
}
