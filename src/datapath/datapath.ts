/** The datapath: switch, guests, tunnels and TAP, put together and configured. */
import { SojournError } from '../common/index.ts';
import { PORT, Switch } from '../switch/index.ts';
import { loadIdentity } from '../transport/index.ts';
import type { Configuration, DatapathEvent, Problem, Result } from './control.ts';
import { Guests } from './guests.ts';
import { gatewayIn } from './home-prefixes.ts';
import { InstalledFlows } from './installed-flows.ts';
import { siteFlows } from './program/index.ts';
import { SlowPath } from './slow-path.ts';
import { buildStatus } from './status.ts';
import type { SavedState } from './store.ts';
import { TapAdapter } from './tap-adapter.ts';
import { Tunnels } from './tunnels.ts';

export interface DatapathOptions {
  /** Private directory for sockets, records and logs. */
  readonly directory: string;
  readonly qemu: string;
  readonly emit: (event: DatapathEvent) => void;
  /** What is to be restored has changed. */
  readonly changed: () => void;
}

export class Datapath {
  readonly guests: Guests;
  readonly #options: DatapathOptions;
  readonly #switch: Switch;
  readonly #flows: InstalledFlows;
  readonly #slowPath: SlowPath;
  readonly #tunnels: Tunnels;
  #configuration: Configuration | undefined;
  #self: string | undefined;
  #tap: TapAdapter | undefined;
  #ports = 0;
  #problems: Problem[] = [];

  constructor(options: DatapathOptions) {
    this.#options = options;
    const datapath = this;
    const nextPort = () => this.#nextPort();
    this.#switch = new Switch((event) => this.#slowPath.handle(this.#switch, event));
    this.#flows = new InstalledFlows(this.#switch);
    this.#tunnels = new Tunnels(this.#switch, nextPort, (peer) => ({
      onUp: () => options.emit({ event: 'tunnelUp', peer }),
      onDown: (reason) => options.emit({ event: 'tunnelDown', peer, reason }),
      onMarker: (marker, guestId, epoch) => this.guests.onMarker(peer, marker, guestId, epoch),
      onForward: (guestId, epoch, packet) => this.guests.onForward(peer, guestId, epoch, packet),
    }));
    this.guests = new Guests({
      owner: this.#switch,
      flows: this.#flows,
      get self() {
        return datapath.#self;
      },
      get defaultPeer() {
        return datapath.#configuration?.defaultPeer;
      },
      tunnel: (peer) => this.#tunnels.port(peer),
      get gateway() {
        const { port, settings } = datapath.#tap ?? {};
        return settings?.toward === 'gateway' ? port?.number : undefined;
      },
      nextPort,
      emit: options.emit,
      portClosed: (port) => this.#slowPath.forget(port),
      guestsChanged: () => this.#installSite(),
      changed: options.changed,
    });
    const { table } = this.guests;
    this.#slowPath = new SlowPath(
      {
        guestOfPort: (port) => table.ofPort(port)?.gateway,
        guestOfAddress: (address) => table.ofAddress(address)?.gateway,
        heard: (port, frame) => this.guests.heard(port, frame),
        get tap() {
          const tap = datapath.#tap;
          return tap && { port: tap.port.number, toward: tap.settings.toward };
        },
        gatewayOf: (address) => gatewayIn(this.#prefixes, address),
      },
      () => performance.now(),
    );
    this.#installSite();
  }

  async configure(wanted: Configuration): Promise<Result<'configure'>> {
    const identity = await loadIdentity(wanted.identityDir);
    if (identity === undefined)
      throw new SojournError({
        kind: 'requirement',
        code: 'identity-missing',
        message: `There is no identity in ${wanted.identityDir}`,
        remedy: 'Start the agent once; it makes one',
      });
    this.#self = identity.id;
    this.#configuration = wanted;
    this.#problems = [];
    try {
      await this.#tunnels.configure(identity, wanted.listen, wanted.peers);
    } catch (error) {
      if (!(error instanceof SojournError)) throw error;
      const { code, message, remedy } = error;
      this.#problems.push({ code, message, ...(remedy !== undefined && { remedy }) });
    }
    await this.#configureTap(wanted.tap);
    this.guests.install();
    this.#installSite();
    this.#options.changed();
    const listening = this.#tunnels.address;
    return {
      place: identity.id,
      ...(listening !== undefined && { listening }),
      problems: [...this.#problems, ...(this.#tap?.problems ?? [])],
    };
  }

  async status(): Promise<Result<'status'>> {
    return buildStatus({
      place: this.#self,
      listening: this.#tunnels.address,
      tap: this.#tap,
      tunnels: this.#tunnels.all,
      guests: this.guests.table.all,
      owner: this.#switch,
      flows: this.#flows,
      drops: { rateLimited: this.#slowPath.rateLimited, unknownGuest: this.guests.unknown },
      problems: this.#problems,
    });
  }

  /** What `restore` needs. */
  get saved(): SavedState {
    return {
      version: 1,
      ...(this.#configuration !== undefined && { configuration: this.#configuration }),
      guests: this.guests.saved,
    };
  }

  /** Goes on where another datapath ended. What fails is a problem in `status`; the agent will say it again. */
  async restore({ configuration, guests }: SavedState): Promise<void> {
    const attempt = async (work: Promise<unknown>) => {
      try {
        await work;
      } catch (error) {
        const { code, message } =
          error instanceof SojournError ? error : { code: 'restore', message: String(error) };
        this.#problems.push({ code, message });
      }
    };
    if (configuration === undefined) return;
    this.#self = (await loadIdentity(configuration.identityDir))?.id;
    this.#configuration = configuration;
    // Guest ports first: a QEMU is waiting behind each.
    const ports = guests.map((guest) => attempt(this.guests.restore(guest)));
    await attempt(this.configure(configuration));
    await Promise.all(ports);
  }

  async close(tap: 'keep' | 'remove'): Promise<void> {
    await this.guests.close();
    await this.#tunnels.close();
    await this.#tap?.close(tap === 'remove');
  }

  #installSite(): void {
    const tap = this.#tap;
    this.#flows.replace(
      'site',
      siteFlows({
        tunnels: this.#tunnels.all.map(({ port }) => port.number),
        tap:
          tap === undefined
            ? undefined
            : {
                port: tap.port.number,
                toward: tap.settings.toward,
                prefixes: this.#prefixes,
                gateways: this.guests.table.gateways,
              },
      }),
    );
  }

  async #configureTap(settings: Configuration['tap']): Promise<void> {
    const { name, toward } = this.#tap?.settings ?? {};
    if (this.#tap !== undefined && (name !== settings?.name || toward !== settings?.toward)) {
      const old = this.#tap;
      this.#tap = undefined;
      this.#switch.detach(old.port.number);
      await old.close(true);
    }
    if (settings === undefined) return;
    if (this.#tap !== undefined) {
      await this.#tap.apply(settings);
      return;
    }
    const { emit, directory, qemu } = this.#options;
    const tap = new TapAdapter({
      directory,
      settings,
      portNumber: this.#nextPort(),
      owner: this.#switch,
      qemu,
      onUp: () => emit({ event: 'tapUp' }),
      onDown: () => emit({ event: 'tapDown' }),
      onProblem: (problem) => emit({ event: 'problem', problem }),
    });
    this.#tap = tap;
    this.#switch.attach(tap.port);
    await tap.start();
  }

  get #prefixes(): string[] {
    const { prefixes4 = [], prefixes6 = [] } = this.#tap?.settings ?? {};
    return [...prefixes4, ...prefixes6];
  }

  #nextPort(): number {
    if (this.#ports >= PORT.max) throw new RangeError('port numbers are used up');
    return ++this.#ports;
  }
}
