/** The tray as a function of what is known: named tables of states and what is shown in them. */
import { describe, expect, test } from 'vitest';
import type { AgentState } from '../../electron/agent/index.ts';
import { describeTray, type TrayInput } from '../../electron/tray/describe.ts';
import type { Action, IconName, Item } from '../../electron/tray/types.ts';
import type { GuestView, RightsView, Status } from '../../src/api/index.ts';
import * as s from './states.ts';

const greeting = { sojourn: 'api', protocol: 2, version: '0.2.0', pid: 9 } as const;
const wireError = { kind: 'requirement', code: 'x', message: 'QEMU is missing' } as const;

function input(agent: AgentState, change: Partial<TrayInput> = {}): TrayInput {
  return {
    agent,
    appVersion: '0.1.0',
    language: 'en',
    startAtLogin: false,
    notifications: true,
    screenOnArrival: false,
    automaticUpdates: undefined,
    estimates: new Map([[s.GUEST, 400]]),
    ...change,
  };
}

const connected = (status: Status | undefined, version = '0.1.0'): AgentState => ({
  kind: 'connected',
  version,
  status,
});

const shown = (guests: GuestView[], change: Partial<Status> = {}, more: Partial<TrayInput> = {}) =>
  describeTray(input(connected(s.statusWith(guests, change)), more));

/** Labels, with what is below them: `Hand off to > desk`. Texts that do nothing stand in brackets. */
function labels(items: readonly Item[], above = ''): string[] {
  return items.flatMap((item) => labelsOf(item, above));
}

function labelsOf(item: Item, above: string): string[] {
  switch (item.kind) {
    case 'separator':
      return ['---'];
    case 'text':
      return [`${above}[${item.label}]`];
    case 'action':
      return [above + item.label];
    case 'choice':
      return [`${above}${item.label}: ${item.chosen ? 'yes' : 'no'}`];
    case 'submenu':
      return labels(item.items, `${above}${item.label} > `);
  }
}

function actionOf(items: readonly Item[], label: string): Action | undefined {
  for (const item of items) {
    if (item.kind === 'submenu') {
      const found = actionOf(item.items, label);
      if (found !== undefined) return found;
    } else if ((item.kind === 'action' || item.kind === 'choice') && item.label === label) {
      return item.action;
    }
  }
  return undefined;
}

describe('what one guest looks like', () => {
  const armed = s.standby();
  test.each<[string, GuestView, IconName, string]>([
    [
      'armed',
      s.guest(s.states.running, { standby: armed }),
      'safe',
      'dev-desktop runs here. Safe: cloud 0.4 s away',
    ],
    [
      'hindered',
      s.guest(s.states.running, { standby: s.standby({ reason: 'cloud is low on disk' }) }),
      'at-risk',
      'dev-desktop runs here. Safe at cloud, but cloud is low on disk',
    ],
    ['alone', s.guest(s.states.running), 'here', 'dev-desktop runs here. Stands by nowhere'],
    [
      'filling',
      s.guest(s.states.running, { standby: s.filling }),
      'here',
      'dev-desktop runs here. Getting safe at cloud, 40 %',
    ],
    [
      'waiting',
      s.guest(s.states.running, {
        standby: s.standby({ state: 'waiting', reason: 'cloud cannot be reached' }),
      }),
      'at-risk',
      'dev-desktop runs here. At risk: cloud cannot be reached',
    ],
    [
      'unavailable',
      s.guest(s.states.running, { standby: s.standby({ state: 'unavailable' }) }),
      'at-risk',
      'dev-desktop runs here. At risk: cloud cannot take over now',
    ],
    ['moving out', s.guest(s.states.movingOut), 'moving', 'dev-desktop is moving to cloud'],
    ['moving in', s.guest(s.states.movingIn), 'receiving', 'dev-desktop is arriving from cloud'],
    ['away', s.guest(s.states.away), 'elsewhere', 'dev-desktop runs at cloud'],
    ['stopped away', s.guest(s.states.awayStopped), 'waiting', 'dev-desktop is stopped at cloud'],
    ['stopped', s.guest(s.states.stopped), 'waiting', 'dev-desktop is stopped'],
    [
      'paused',
      s.guest(s.states.paused),
      'problem',
      'dev-desktop is paused. Its disk space here is used up',
    ],
    ['crashed', s.guest(s.states.crashed), 'problem', 'dev-desktop crashed'],
    ['in doubt', s.guest(s.states.inDoubt), 'problem', 'dev-desktop: here or at cloud? Decide'],
  ])('%s', (_name, guest, icon, sentence) => {
    const tray = shown([guest]);
    expect(tray.icon).toBe(icon);
    expect(tray.tooltip).toBe(sentence);
    expect(tray.menu[0]).toEqual({ kind: 'text', label: sentence });
  });
});

describe('the icon of several', () => {
  const safe = s.guest(s.states.running, { standby: s.standby() });
  const other = (state: GuestView['state'], change: Partial<GuestView> = {}) =>
    s.guest(state, { id: s.OTHER_GUEST, name: 'other', ...change });
  test.each<[string, GuestView, IconName]>([
    ['a crashed one outweighs all', other(s.states.crashed), 'problem'],
    ['one without standby outweighs a safe one', other(s.states.running), 'here'],
    ['a moving one outweighs a safe one', other(s.states.movingOut), 'moving'],
    ['a stopped one does not count', other(s.states.stopped), 'safe'],
    ['one that is away does not count', other(s.states.away), 'safe'],
  ])('%s', (_name, guest, icon) => {
    expect(shown([safe, guest]).icon).toBe(icon);
  });

  test('a warning changes no icon, an error does', () => {
    expect(shown([safe], { warnings: [s.notice()] }).icon).toBe('safe');
    expect(shown([safe], { warnings: [s.notice({ severity: 'error' })] }).icon).toBe('problem');
  });

  test('each has a submenu by its state', () => {
    const { menu } = shown([safe, other(s.states.stopped)]);
    expect(labels(menu).slice(0, 6)).toEqual([
      'dev-desktop runs here. Safe: cloud 0.4 s away > Hand off to cloud',
      'dev-desktop runs here. Safe: cloud 0.4 s away > Keep safe at cloud: yes',
      'dev-desktop runs here. Safe: cloud 0.4 s away > Open',
      'dev-desktop runs here. Safe: cloud 0.4 s away > Stop',
      'other is stopped > Start',
      'other is stopped > Open',
    ]);
  });
});

describe('the whole menu', () => {
  test('of a safe guest with two places', () => {
    const guest = s.guest(s.states.running, { standby: s.standby() });
    const places = [s.place(s.self), s.place(s.cloud), s.place(s.desk, { connected: false })];
    const { menu } = shown([guest], { places, warnings: [s.notice()] });
    expect(labels(menu)).toEqual([
      '[dev-desktop runs here. Safe: cloud 0.4 s away]',
      'Hand off to cloud',
      'Hand off to > cloud',
      'Hand off to > [desk (not connected)]',
      'Keep safe at cloud: yes',
      'Open',
      'Stop',
      '---',
      '1 problem',
      '[Link to cloud: good]',
      '---',
      'Open Sojourn',
      'Settings > Start at login: no',
      'Settings > Notifications: yes',
      'Settings > Open the screen of a guest that arrives: no',
      '---',
      'Settings > All settings …',
      'Quit (guests keep running)',
    ]);
    expect(actionOf(menu, 'Hand off to cloud')).toEqual({
      do: 'hand-off',
      guest: s.GUEST,
      to: s.cloud.id,
    });
    expect(actionOf(menu, 'Keep safe at cloud')).toEqual({ do: 'disarm', guest: s.GUEST });
  });

  test('of a guest that is away: back here, where it can be', () => {
    const away = s.guest(s.states.away);
    expect(actionOf(shown([away]).menu, 'Bring back here')).toEqual({
      do: 'hand-off',
      guest: s.GUEST,
      to: s.self.id,
    });
    const places = [s.place(s.self), s.place(s.cloud, { connected: false })];
    const { menu } = shown([away], { places });
    expect(labels(menu)).toContain('[Bring back here (not connected)]');
    expect(labels(menu)).toContain('[Link to cloud: lost]');
  });

  test('of a guest without any place to go to', () => {
    const { menu } = shown([s.guest(s.states.running)], { places: [s.place(s.self)] });
    expect(labels(menu).slice(1, 4)).toEqual(['[No place is paired yet]', 'Open', 'Stop']);
    expect(labels(menu)).toContain('[Link: no site connected]');
  });

  test('in Japanese', () => {
    const { menu, tooltip } = shown([s.guest(s.states.away)], {}, { language: 'ja' });
    expect(tooltip).toBe('dev-desktop は cloud で動作中');
    expect(labels(menu)).toContain('ここへ戻す');
  });

  test('without what this system has not', () => {
    const { menu } = shown([], {}, { startAtLogin: undefined });
    expect(labels(menu).some((label) => label.includes('Start at login'))).toBe(false);
  });
});

describe('the link', () => {
  const status = (link: ReturnType<typeof s.link>) => shown([], { link }).menu;
  test('is watched: a loss that is near is told, and leaving by itself can be turned off', () => {
    expect(labels(status(s.link()))).toContain('[Link to cloud: good]');
    expect(labels(status(s.link({ secondsLeft: 90 })))).toContain('[Link to cloud: good]');
    expect(labels(status(s.link({ secondsLeft: 20 })))).toContain(
      '[Link: will probably be lost soon]',
    );
    expect(labels(status(s.link()))).toContain('Leave before the link is lost: yes');
    expect(actionOf(status(s.link()), 'Leave before the link is lost')).toEqual({
      do: 'automatic',
      to: false,
    });
  });
  test('is not watched everywhere', () => {
    expect(labels(shown([]).menu).some((label) => label.startsWith('Leave'))).toBe(false);
  });
});

describe('receiving', () => {
  const rights: RightsView = {
    ...{ receive: 'off', own: true, fetch: true },
    limits: { guests: null, memoryMiB: null, diskBytes: null },
  };
  const receiving: Status['receiving'] = { receive: 'ask', listens: [] };
  const places = [s.place(s.self), s.place(s.desk, { rights })];

  test('is offered for all places and per place where the agent offers it', () => {
    const { menu } = shown([], { receiving, places });
    expect(labels(menu).filter((label) => label.startsWith('Receive'))).toEqual([
      'Receive sessions > Off: no',
      'Receive sessions > Ask: yes',
      'Receive sessions > Always: no',
      'Receive sessions > desk > Off: yes',
      'Receive sessions > desk > Ask: no',
      'Receive sessions > desk > Always: no',
      'Receive sessions > Pair with a device nearby …',
    ]);
    expect(JSON.stringify(menu)).toContain(
      JSON.stringify({ do: 'receive', place: s.desk.id, mode: 'always' }),
    );
  });

  test('is not shown where it does not', () => {
    expect(labels(shown([]).menu).some((label) => label.startsWith('Receive'))).toBe(false);
  });

  test('a question comes first, with its answers', () => {
    const id = '22222222-2222-4222-8222-222222222222';
    const asked = {
      ...{ id, guest: { id: s.GUEST, name: 'wanderer' }, from: s.desk, standby: false },
      ...{ since: s.AT, expiresAt: s.AT, memoryMiB: 512, vcpus: 1, diskBytes: 0 },
    };
    const tray = shown([], { receiving, incoming: [asked] });
    expect(tray.icon).toBe('receiving');
    expect(labels(tray.menu).slice(0, 3)).toEqual([
      'wanderer from desk asks to come in > Let it in',
      'wanderer from desk asks to come in > Always from desk',
      'wanderer from desk asks to come in > Refuse',
    ]);
    expect(actionOf(tray.menu, 'Refuse')).toEqual({ do: 'answer', incoming: id, answer: 'refuse' });
  });
});

describe('the agent', () => {
  test.each<[string, AgentState, IconName, string, string[]]>([
    ['being looked for', { kind: 'looking', failures: 0 }, 'waiting', 'Looking for the agent', []],
    [
      'being started',
      { kind: 'starting', failures: 0, attempt: 1 },
      'waiting',
      'Starting the agent',
      [],
    ],
    ['found, but silent yet', connected(undefined), 'waiting', 'Looking for the agent', []],
    [
      'failing',
      { kind: 'failed', failures: 1, error: wireError },
      'problem',
      'The agent does not run',
      ['[QEMU is missing]', 'Try again now'],
    ],
    [
      'of another protocol',
      { kind: 'foreign', greeting },
      'problem',
      'The agent is of another version (0.2.0)',
      ['Change to this version (guests keep running)'],
    ],
    [
      'of another version',
      connected(s.statusWith([]), '0.0.9'),
      'waiting',
      'The agent that runs is 0.0.9',
      ['Change to this version (guests keep running)'],
    ],
  ])('%s', (_name, agent, icon, tooltip, more) => {
    const tray = describeTray(input(agent));
    expect(tray.icon).toBe(icon);
    expect(tray.tooltip).toBe(tooltip);
    expect(labels(tray.menu).slice(0, 1 + more.length)).toEqual([`[${tooltip}]`, ...more]);
    expect(labels(tray.menu)).toContain('Quit (guests keep running)');
  });
});

describe("others' names", () => {
  test('are shown as text, and not at any length', () => {
    const evil = { id: s.cloud.id, name: `\u202ecloud\n\u0007 & ${'x'.repeat(60)}` };
    const places = [s.place(s.self), s.place(evil)];
    const { menu } = shown([s.guest(s.states.running, { home: evil })], { places });
    const label = labels(menu)[1] ?? '';
    expect(label.startsWith('Hand off to cloud   & xxx')).toBe(true);
    expect(label.endsWith('…')).toBe(true);
    expect([...label].length).toBeLessThan(60);
  });
});
