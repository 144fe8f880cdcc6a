/**
 * Whether anything shows tray icons (StatusNotifierItem, freedesktop.org). Electron does not tell, and a panel may come
 * after us at login. Other systems than Linux always have one.
 */
import { Bus, type Target } from '../system/bus.ts';

const WATCHER: Target = {
  name: 'org.kde.StatusNotifierWatcher',
  path: '/StatusNotifierWatcher',
  interface: 'org.kde.StatusNotifierWatcher',
};

export interface Panel {
  readonly there: boolean;
  close(): void;
}

/** @param changed called whenever one has come or gone */
export async function watchPanel(changed: (there: boolean) => void): Promise<Panel> {
  if (process.platform !== 'linux') return { there: true, close: () => {} };
  const bus = await Bus.connect('session');
  if (bus === undefined) return { there: false, close: () => {} };
  let there = await isShown(bus);
  const look = async () => {
    const now = await isShown(bus);
    if (now === there) return;
    there = now;
    changed(now);
  };
  await bus.onOwner(WATCHER.name, () => void look());
  await bus.onSignal(WATCHER, 'StatusNotifierHostRegistered', () => void look());
  await bus.onSignal(WATCHER, 'StatusNotifierHostUnregistered', () => void look());
  return {
    get there() {
      return there;
    },
    close: () => bus.disconnect(),
  };
}

/** A watcher without a host keeps a list that nobody looks at. */
async function isShown(bus: Bus): Promise<boolean> {
  return (await bus.property(WATCHER, 'IsStatusNotifierHostRegistered')) === true;
}
