/** Carries out what was chosen in a menu. */

import type { Route } from '../src/ui/index.ts';
import type { AgentLink } from './agent/index.ts';
import type { Action, Setting } from './tray/index.ts';

export interface ActionParts {
  readonly link: AgentLink;
  readonly open: (route: Route) => void;
  readonly openScreen: (guest: string) => void;
  readonly quit: () => void;
  readonly set: (setting: Setting, to: boolean) => Promise<void>;
}

/** Rejects with the agent's own words. A handoff resolves when it has ended. */
export async function perform(action: Action, parts: ActionParts): Promise<void> {
  const { link } = parts;
  switch (action.do) {
    case 'hand-off':
      await link.client.call('handoff.start', { guest: action.guest, to: action.to });
      return;
    case 'cancel-handoff':
      await link.client.call('handoff.cancel', { guest: action.guest });
      return;
    case 'arm':
      await link.client.call('standby.arm', { guest: action.guest, at: action.at });
      return;
    case 'disarm':
      await link.client.call('standby.disarm', { guest: action.guest });
      return;
    case 'start':
      await link.client.call('guest.start', { guest: action.guest });
      return;
    case 'stop':
      await link.client.call('guest.stop', { guest: action.guest });
      return;
    case 'open-screen':
      parts.openScreen(action.guest);
      return;
    case 'open':
      parts.open(action.route);
      return;
    case 'automatic':
      await link.client.call('policy.auto', { on: action.to });
      return;
    case 'receive':
      await link.client.call('receiving.set', {
        ...(action.place === undefined ? {} : { place: action.place }),
        receive: action.mode,
      });
      return;
    case 'answer':
      await link.client.call('incoming.answer', {
        incoming: action.incoming,
        answer: action.answer,
      });
      return;
    case 'set':
      await parts.set(action.setting, action.to);
      return;
    case 'retry-agent':
      link.retry();
      return;
    case 'replace-agent':
      link.replace();
      return;
    case 'quit':
      parts.quit();
      return;
  }
}
