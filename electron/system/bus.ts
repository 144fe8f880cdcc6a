/** D-Bus without introspection: calls, properties and signals of services that may not be there. Linux only. */
import type { EventEmitter } from 'node:events';
import { Message, type MessageBus, sessionBus, systemBus, Variant } from '@jellybrick/dbus-next';

export type Which = 'session' | 'system';

/** A name, a path and an interface: what a call or a signal is about. */
export interface Target {
  readonly name: string;
  readonly path: string;
  readonly interface: string;
}

const DAEMON: Target = {
  name: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
};
const PROPERTIES = 'org.freedesktop.DBus.Properties';
/** A bus is on this host: one that does not answer by then is as good as none. */
const CONNECT_DEADLINE_MS = 3_000;

export class Bus {
  readonly #bus: MessageBus;
  #open = true;

  private constructor(bus: MessageBus) {
    this.#bus = bus;
  }

  /** Undefined where there is no such bus. @param address of another session bus than the environment's */
  static async connect(which: Which, address?: string): Promise<Bus | undefined> {
    let raw: MessageBus;
    try {
      raw = which === 'session' ? sessionBus({ busAddress: address }) : systemBus();
    } catch {
      return undefined;
    }
    const bus = new Bus(raw);
    const failed = Promise.withResolvers<false>();
    const timer = setTimeout(() => failed.resolve(false), CONNECT_DEADLINE_MS);
    // A bus that ends takes everything on it along; whoever waits for a signal waits for nothing then.
    (raw as unknown as EventEmitter<{ error: [unknown] }>).on('error', () => {
      bus.#open = false;
      failed.resolve(false);
    });
    const answers = bus.call(DAEMON, 'GetId').then(
      () => true,
      () => false,
    );
    const connected = await Promise.race([answers, failed.promise]);
    clearTimeout(timer);
    if (connected) return bus;
    bus.disconnect();
    return undefined;
  }

  /** @returns the values of the answer. Rejects with what the other side says. */
  async call(
    target: Target,
    member: string,
    signature = '',
    body: readonly unknown[] = [],
  ): Promise<unknown[]> {
    const answer = await this.#bus.call(
      new Message({
        destination: target.name,
        path: target.path,
        interface: target.interface,
        member,
        signature,
        body: [...body],
      }),
    );
    return answer?.body ?? [];
  }

  /** Undefined where nobody tells. */
  async property(target: Target, name: string): Promise<unknown> {
    try {
      const properties = { ...target, interface: PROPERTIES };
      const [value] = await this.call(properties, 'Get', 'ss', [target.interface, name]);
      return value instanceof Variant ? value.value : undefined;
    } catch {
      return undefined;
    }
  }

  /** Calls `take` with the values of each such signal from now on. */
  async onSignal(
    target: Target,
    member: string,
    take: (body: readonly unknown[]) => void,
  ): Promise<void> {
    const { path, interface: from } = target;
    // Delivered by name's owner: the bus itself matches the well-known name.
    const rule = `type='signal',sender='${target.name}',path='${path}',interface='${from}',member='${member}'`;
    this.#bus.on('message', (message) => {
      if (message.path === path && message.interface === from && message.member === member)
        take(message.body);
    });
    await this.call(DAEMON, 'AddMatch', 's', [rule]);
  }

  /** Calls `take` with the properties that change from now on. */
  async onProperties(
    target: Target,
    take: (changed: ReadonlyMap<string, unknown>) => void,
  ): Promise<void> {
    const properties = { ...target, interface: PROPERTIES };
    await this.onSignal(properties, 'PropertiesChanged', ([about, changed]) => {
      if (about !== target.interface || typeof changed !== 'object' || changed === null) return;
      const values = Object.entries(changed).map(([name, value]): [string, unknown] => [
        name,
        value instanceof Variant ? value.value : undefined,
      ]);
      take(new Map(values));
    });
  }

  /** Calls `take` whenever a name gets an owner or loses it. */
  async onOwner(name: string, take: (owned: boolean) => void): Promise<void> {
    await this.onSignal(DAEMON, 'NameOwnerChanged', ([changed, , owner]) => {
      if (changed === name) take(owner !== '');
    });
  }

  disconnect(): void {
    if (this.#open) this.#bus.disconnect();
    this.#open = false;
  }
}
