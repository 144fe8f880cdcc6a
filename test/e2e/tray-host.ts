/**
 * What a panel knows of a tray icon, read and clicked over the bus as the panel does it: StatusNotifierItem and
 * com.canonical.dbusmenu.
 */
import { Variant } from '@jellybrick/dbus-next';
import type { Bus, Target } from '../../electron/system/bus.ts';

const WATCHER: Target = {
  name: 'org.kde.StatusNotifierWatcher',
  path: '/StatusNotifierWatcher',
  interface: 'org.kde.StatusNotifierWatcher',
};
const ITEM = 'org.kde.StatusNotifierItem';
const MENU = 'com.canonical.dbusmenu';
const POLL_MS = 100;

export interface MenuNode {
  readonly id: number;
  readonly label: string;
  readonly enabled: boolean;
  readonly checked: boolean | undefined;
  readonly separator: boolean;
  readonly children: readonly MenuNode[];
}

export class TrayHost {
  readonly ready: Promise<void>;
  readonly #bus: Bus;

  private constructor(bus: Bus, ready: Promise<void>) {
    this.#bus = bus;
    this.ready = ready;
  }

  static async watch(bus: Bus): Promise<TrayHost> {
    const ready = Promise.withResolvers<void>();
    const look = async () => {
      if ((await bus.property(WATCHER, 'IsStatusNotifierHostRegistered')) === true) ready.resolve();
    };
    await bus.onOwner(WATCHER.name, () => void look());
    await bus.onSignal(WATCHER, 'StatusNotifierHostRegistered', () => void look());
    return new TrayHost(bus, ready.promise);
  }

  /** The icons that the panel has, as `NAME/PATH`. */
  async items(): Promise<string[]> {
    return ((await this.#bus.property(WATCHER, 'RegisteredStatusNotifierItems')) ?? []) as string[];
  }

  /** The only icon, as soon as there is one. */
  async icon(deadlineMs: number): Promise<TrayItem> {
    const items = await until(
      () => this.items(),
      (found) => found.length > 0,
      deadlineMs,
      'a tray icon',
    );
    const [, name = '', path = ''] = /^([^/]+)(\/.*)$/.exec(items[0] ?? '') ?? [];
    return new TrayItem(this.#bus, name, path);
  }
}

export class TrayItem {
  readonly #bus: Bus;
  readonly #item: Target;

  constructor(bus: Bus, name: string, path: string) {
    this.#bus = bus;
    this.#item = { name, path, interface: ITEM };
  }

  async tooltip(): Promise<string> {
    const tip = (await this.#bus.property(this.#item, 'ToolTip')) as unknown[] | undefined;
    return String(tip?.[2] ?? '');
  }

  /** Bytes of the picture that is shown now, ARGB. */
  async picture(): Promise<Buffer> {
    const pictures = (await this.#bus.property(this.#item, 'IconPixmap')) as
      | [number, number, Buffer][]
      | undefined;
    return Buffer.concat((pictures ?? []).map(([, , bytes]) => Buffer.from(bytes)));
  }

  async menu(): Promise<MenuNode> {
    const target = await this.#menuTarget();
    const [, layout] = await this.#bus.call(target, 'GetLayout', 'iias', [0, -1, []]);
    return readNode(layout);
  }

  /** Everything that is written in the menu, top level only. */
  async lines(): Promise<string[]> {
    return (await this.menu()).children.map(({ label }) => label).filter((label) => label !== '');
  }

  /** Clicks the item at the end of a way of labels; waits until it is there. */
  async click(way: readonly (string | RegExp)[], deadlineMs = 10_000): Promise<void> {
    const node = await until(
      async () => find(await this.menu(), way),
      (found) => found?.enabled === true,
      deadlineMs,
      `the menu item ${way.join(' > ')}`,
      async () => JSON.stringify(await this.lines()),
    );
    if (node === undefined) throw new Error('unreachable');
    const target = await this.#menuTarget();
    const event = [node.id, 'clicked', new Variant('i', 0), 0];
    await this.#bus.call(target, 'Event', 'isvu', event);
  }

  /** Resolves with the first line that matches, as soon as there is one. */
  async line(pattern: RegExp, deadlineMs: number): Promise<string> {
    const lines = await until(
      () => this.lines(),
      (found) => found.some((line) => pattern.test(line)),
      deadlineMs,
      `a menu line like ${pattern}`,
      async () => JSON.stringify(await this.lines()),
    );
    return lines.find((line) => pattern.test(line)) ?? '';
  }

  /** What the menu says at every change of the menu from now on. */
  async followChanges(): Promise<readonly string[]> {
    const changes: string[] = [];
    await this.#bus.onSignal(await this.#menuTarget(), 'LayoutUpdated', () => {
      const note = (text: string) => changes.push(text);
      this.lines().then(
        (lines) => note(lines.join('\n')),
        () => note('(gone)'),
      );
    });
    return changes;
  }

  async #menuTarget(): Promise<Target> {
    const path = await this.#bus.property(this.#item, 'Menu');
    return { ...this.#item, path: String(path), interface: MENU };
  }
}

function find(node: MenuNode, way: readonly (string | RegExp)[]): MenuNode | undefined {
  const [first, ...rest] = way;
  if (first === undefined) return node;
  for (const child of node.children) {
    const matches = typeof first === 'string' ? child.label === first : first.test(child.label);
    if (matches) return find(child, rest);
  }
  return undefined;
}

function readNode(layout: unknown): MenuNode {
  const [id, properties, children] = layout as [number, Record<string, Variant>, unknown[]];
  const value = (name: string) => properties[name]?.value;
  const state = value('toggle-state');
  return {
    id,
    // A doubled underscore stands for one; a single one marks a shortcut.
    label: String(value('label') ?? '').replace(/_(.)/g, '$1'),
    enabled: value('enabled') !== false,
    checked: state === 1 ? true : state === 0 ? false : undefined,
    separator: value('type') === 'separator',
    children: children.map((child) => readNode(child instanceof Variant ? child.value : child)),
  };
}

/** Looks again and again: not everything of a panel is told by signals. */
export async function until<T>(
  look: () => Promise<T>,
  good: (found: T) => boolean,
  deadlineMs: number,
  what: string,
  last: () => Promise<string> = async () => '',
): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined && good(found)) return found;
    if (Date.now() > deadline)
      throw new Error(`waited ${deadlineMs} ms for ${what} ${await last()}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
