/** A menu as data: what `describe.ts` makes of the agent's state, and `native.ts` makes Electron's menus of. */
import type { Route } from '../../src/ui/index.ts';

export type ReceiveMode = 'off' | 'ask' | 'always';

/** What can be turned on and off from the menu. */
export type Setting = 'startAtLogin' | 'notifications' | 'screenOnArrival' | 'automaticUpdates';

/** What a click does; carried out in `electron/actions.ts`. */
export type Action =
  | { readonly do: 'hand-off'; readonly guest: string; readonly to: string }
  | { readonly do: 'cancel-handoff'; readonly guest: string }
  | { readonly do: 'arm'; readonly guest: string; readonly at: string }
  | { readonly do: 'disarm'; readonly guest: string }
  | { readonly do: 'start' | 'stop' | 'open-screen'; readonly guest: string }
  /** Guests leave and come back by themselves, or not. */
  | { readonly do: 'automatic'; readonly to: boolean }
  /** Of a place by its id; undefined: of all places of which nothing else is said. */
  | { readonly do: 'receive'; readonly place: string | undefined; readonly mode: ReceiveMode }
  /** To a guest of another place that asks to come in. */
  | {
      readonly do: 'answer';
      readonly incoming: string;
      readonly answer: 'once' | 'always' | 'refuse';
    }
  | { readonly do: 'open'; readonly route: Route }
  | { readonly do: 'retry-agent' | 'replace-agent' | 'quit' }
  | {
      readonly do: 'set';
      readonly setting: Setting;
      readonly to: boolean;
    };

export type Item =
  /** Says something and does nothing. */
  | { readonly kind: 'text'; readonly label: string }
  | { readonly kind: 'separator' }
  | {
      readonly kind: 'action';
      readonly label: string;
      readonly action: Action;
    }
  | {
      readonly kind: 'choice';
      readonly label: string;
      readonly chosen: boolean;
      /** One of several, of which exactly one is chosen. */
      readonly exclusive: boolean;
      readonly action: Action;
    }
  | { readonly kind: 'submenu'; readonly label: string; readonly items: readonly Item[] };

/** `waiting`: nothing runs here that could be lost, or nothing is known yet. */
export type IconName =
  | 'waiting'
  | 'here'
  | 'safe'
  | 'at-risk'
  | 'moving'
  | 'elsewhere'
  | 'receiving'
  | 'problem';

export interface TrayDescription {
  readonly icon: IconName;
  readonly tooltip: string;
  readonly menu: readonly Item[];
}
