/** What a person asks of a guest at this place: create, start, stop, delete, more room, a decision in doubt. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { CallInput, RecoverAction } from '../../api/index.ts';
import { asClause, errorText, SojournError } from '../../common/index.ts';
import {
  type AcceleratorVerdict,
  compatibilityProblems,
  findFirmware,
  freezeAbi,
  type QemuCapabilities,
} from '../../guest/index.ts';
import type { Accelerator, Display, GuestSpec } from '../../guest/spec.ts';
import { blobsOf, type ImageManifest, type ImageStore } from '../../images/index.ts';
import type { Arrivals } from '../handoffs/arrivals.ts';
import type { Departures } from '../handoffs/departures.ts';
import type { DatapathSupervisor } from '../network/datapath-supervisor.ts';
import { localSettings } from '../network/mapping.ts';
import type { RegistryService } from '../network/registry-service.ts';
import { unmapGuest } from '../network/unmap.ts';
import type { Journal } from '../ownership/journal.ts';
import type { Places } from '../places/places.ts';
import type { Standbys } from '../standby/standbys.ts';
import type { GuestStore, StoredGuest } from '../state/guest-store.ts';
import type { GuestFiles } from './guest-files.ts';
import type { Guests } from './guests.ts';
import type { Machine } from './machine.ts';
import { guestPaused } from './paused.ts';

const DEFAULT_OVERLAY_LIMIT_BYTES = 2 * 1024 ** 3;

export interface GuestLifeOptions {
  readonly store: GuestStore;
  readonly journal: Journal;
  readonly guests: Guests;
  readonly files: GuestFiles;
  readonly images: ImageStore;
  readonly machine: Machine;
  readonly places: Places;
  readonly registry: RegistryService;
  readonly datapath: DatapathSupervisor;
  readonly departures: Departures;
  readonly standbys: Standbys;
  readonly arrivals: Arrivals;
  readonly log: Logger;
  readonly netSocket: (spec: GuestSpec) => string;
}

export class GuestLife {
  readonly #options: GuestLifeOptions;
  /** Stored, and not on record in the journal yet. */
  readonly #creating = new Set<string>();

  constructor(options: GuestLifeOptions) {
    this.#options = options;
  }

  /** @throws SojournError `guest-exists`, `image-unknown`, `image-*`, `qemu-*`, `accelerator-unusable`, `firmware-missing`, `display-missing`, `no-home-site`, `peer-unreachable` */
  async create(request: CallInput<'guest.create'>): Promise<GuestSpec> {
    const { store, journal, images, machine, registry } = this.#options;
    if (store.list().some(({ spec }) => spec.name === request.name)) throw nameTaken(request.name);
    const image = await images.find(request.image);
    for (const { digest } of blobsOf(image)) await images.verify(digest);
    const [qemu, verdict] = [await machine.qemu(), await machine.verdict()];
    const accelerator = request.accelerator ?? verdict.accelerator;
    if (accelerator !== 'tcg' && accelerator !== verdict.accelerator)
      throw acceleratorUnusable(accelerator, verdict);
    const wanted = request.display ?? image.defaults.display ?? defaultDisplay(image, qemu);
    const { abi } = freezeAbi({
      qemu,
      accelerator,
      boot: image.boot,
      firmware: await findFirmware(qemu.architecture),
      disks: image.disks,
      vcpus: request.vcpus ?? image.defaults.vcpus,
      memoryMiB: request.memoryMiB ?? image.defaults.memoryMiB,
      display: wanted === 'none' ? undefined : wanted,
    });
    const id = randomUUID();
    const home = registry.chooseHome();
    const network = await registry.allocate(home, {
      guestId: id,
      guestName: request.name,
      mac: abi.mac,
    });
    const spec: GuestSpec = {
      id,
      name: request.name,
      abi,
      network,
      home,
      overlayLimitBytes: request.overlayLimitBytes ?? DEFAULT_OVERLAY_LIMIT_BYTES,
      overlayStorage: request.overlayStorage ?? 'memory',
      createdAt: new Date().toISOString(),
    };
    this.#creating.add(id);
    try {
      store.put({
        spec,
        intent: 'stopped',
        process: null,
        disks: [],
        crash: null,
        since: spec.createdAt,
      });
      await journal.append({ type: 'guest-created', guestId: id, epoch: 1, at: Date.now() });
    } catch (error) {
      store.remove(id);
      await registry.free(home, id);
      throw error;
    } finally {
      this.#creating.delete(id);
    }
    return spec;
  }

  /** @throws SojournError `guest-elsewhere`, `guest-in-doubt`, what this place lacks, or as `Guests.start` */
  async start(stored: StoredGuest, fromCopy: boolean): Promise<void> {
    const { guests, datapath, places, netSocket } = this.#options;
    const { spec } = stored;
    const epoch = this.#epochHere(spec);
    guests.requireStartable(spec);
    await this.#requireAbleToRun(spec);
    const socket = netSocket(spec);
    await datapath.setGuest(
      localSettings(spec, { epoch, self: places.self.id, socket, held: false }),
    );
    try {
      await guests.start(spec, { fromCopy });
    } catch (error) {
      // Another start may have been faster.
      if (!guests.has(spec.id) && !guests.isBusy(spec.id)) await this.#unmap(spec);
      throw error;
    }
  }

  /** @throws SojournError `not-running`, `guest-paused`, `handoff-under-way` */
  async stop(stored: StoredGuest, force: boolean): Promise<void> {
    const { guests } = this.#options;
    const { spec } = stored;
    this.#epochHere(spec);
    this.#requireStill(spec);
    if (!guests.has(spec.id))
      throw new SojournError({
        kind: 'conflict',
        code: 'not-running',
        message: `${spec.name} is not running`,
        remedy: `See "sojourn guest show ${spec.name}" for its state`,
      });
    if (!force && guests.live(spec.id)?.phase.kind === 'paused')
      throw guestPaused(
        spec,
        'cannot shut itself down',
        `or stop it with "sojourn guest stop ${spec.name} --force"`,
      );
    await this.#options.departures.withoutStandby(spec.id, () => guests.stop(spec.id, force));
    await this.#unmap(spec);
  }

  /**
   * Removes the guest with its disks; with `force` also one that runs, and one that is elsewhere from this place's list.
   * @throws SojournError `guest-running`, `guest-elsewhere`, `guest-in-doubt`, `handoff-under-way`
   */
  async delete(stored: StoredGuest, force: boolean): Promise<void> {
    const { guests, journal, store, standbys } = this.#options;
    const { spec } = stored;
    const record = { type: 'guest-deleted' as const, guestId: spec.id, at: Date.now() };
    if (force && journal.ownership(spec.id).kind === 'elsewhere') {
      await journal.append(record);
      await standbys.forget(spec.id);
      await guests.discard(spec);
      store.remove(spec.id);
      await this.#unmap(spec);
      return;
    }
    this.#epochHere(spec);
    this.#requireStill(spec);
    if (guests.has(spec.id)) {
      if (!force)
        throw new SojournError({
          kind: 'conflict',
          code: 'guest-running',
          message: `${spec.name} is running`,
          remedy: `Stop it with "sojourn guest stop ${spec.name}", or delete it with "sojourn guest delete ${spec.name} --force"`,
        });
      await standbys.forget(spec.id);
      await guests.stop(spec.id, true);
    }
    await journal.append(record);
    await standbys.forget(spec.id);
    await this.forget(stored);
  }

  /**
   * Removes what is left of a guest that is not ours: deleted, or refused when it came. Its address is given back
   * when its home can be reached; until then it is not shown and its name is taken.
   */
  async forget(stored: StoredGuest): Promise<void> {
    const { guests, registry, datapath, store, journal, log } = this.#options;
    const { spec } = stored;
    await guests.discard(spec);
    const records = journal.of(spec.id);
    if (records.length > 0 && !records.some(({ type }) => type === 'guest-deleted')) {
      // It was to come here and did not: its address is that of the place that has it, and so are its packets.
      store.remove(spec.id);
      await this.#unmap(spec);
      return;
    }
    await datapath.removeGuest(spec.id);
    try {
      await registry.free(spec.home, spec.id);
    } catch (error) {
      if (!(error instanceof SojournError)) throw error;
      log.warn({ guest: spec.name, reason: error.line }, 'address not given back yet');
      if (error.kind === 'unreachable') return;
    }
    store.remove(spec.id);
  }

  /** The home of guests that were deleted can be reached: their addresses are given back. Never rejects. */
  async forgetLeftOvers(home: string): Promise<void> {
    const { store, journal, arrivals, log } = this.#options;
    for (const stored of store.list()) {
      const { id, name } = stored.spec;
      if (stored.spec.home !== home || arrivals.find(id) !== undefined) continue;
      if (this.#creating.has(id)) continue;
      if (journal.ownership(id).kind !== 'unknown') continue;
      await this.forget(stored).catch((error: unknown) =>
        log.warn({ guest: name, reason: errorText(error) }, 'not forgotten'),
      );
    }
  }

  /** Gives the overlays more room. @throws SojournError `guest-elsewhere`, `overlay-limit-small` */
  async limit(stored: StoredGuest, limitBytes: number): Promise<void> {
    this.#epochHere(stored.spec);
    this.#requireStill(stored.spec);
    const { guests, files } = this.#options;
    const { spec } = stored;
    if (guests.live(spec.id) === undefined && limitBytes < spec.overlayLimitBytes)
      await files.requireLimit(spec, limitBytes);
    await this.#options.departures.withoutStandby(spec.id, () =>
      guests.raiseLimit(stored, limitBytes),
    );
  }

  /** What an in-doubt guest is, and what each decision would mean. @throws SojournError `not-in-doubt` */
  explain(stored: StoredGuest): {
    explanation: string;
    choices: { action: RecoverAction; consequence: string }[];
  } {
    const { journal, places } = this.#options;
    const { spec } = stored;
    const ownership = journal.ownership(spec.id);
    if (ownership.kind !== 'in-doubt') throw notInDoubt(spec);
    const there = places.ref(ownership.peer).name;
    return {
      explanation: `${spec.name} was given to ${there} and ${there} has not confirmed. Its copy here stays paused; as soon as ${there} answers this settles itself.`,
      choices: [
        {
          action: 'keep-here',
          consequence: `It goes on here. If ${there} took it over as well, it runs twice under one address and its disks part ways: choose this only when you know that ${there} does not run it.`,
        },
        {
          action: 'give-up-here',
          consequence: `The paused copy here is destroyed. If ${there} did not take it over, what it did since its last stop is lost.`,
        },
      ],
    };
  }

  /** Carries out a person's decision about an in-doubt guest. */
  async decide(stored: StoredGuest, decision: RecoverAction): Promise<void> {
    const { journal, departures } = this.#options;
    const { spec } = stored;
    const ownership = journal.ownership(spec.id);
    const departure = departures.find(spec.id);
    if (ownership.kind !== 'in-doubt' || departure === undefined) throw notInDoubt(spec);
    const { handoffId, peer } = ownership;
    const guestId = spec.id;
    const at = Date.now();
    await journal.append({ type: 'guest-forced', guestId, handoffId, decision, peer, at });
    departure.decision.resolve(decision);
    await departure.settled.promise;
  }

  /** Here as at a destination: better no start than a guest that is killed for want of memory. */
  async #requireAbleToRun(spec: GuestSpec): Promise<void> {
    const { machine, places } = this.#options;
    const here = await machine.capabilities(spec.abi.accelerator);
    // Room for the overlays is looked for where they will be, when they are made ready.
    const options = { placeName: places.self.name, overlayBytes: 0 };
    const problems = compatibilityProblems(spec, here, options);
    const [first] = problems;
    if (first === undefined) return;
    throw new SojournError({
      kind: 'requirement',
      code: first.code,
      message: `${spec.name} cannot run here: ${problems.map(({ message }) => asClause(message)).join('; ')}`,
      remedy: problems.map(({ remedy }) => remedy).join('; '),
    });
  }

  #epochHere(spec: GuestSpec): number {
    const { journal, places } = this.#options;
    const ownership = journal.ownership(spec.id);
    if (ownership.kind === 'here') return ownership.epoch;
    if (ownership.kind === 'in-doubt')
      throw new SojournError({
        kind: 'conflict',
        code: 'guest-in-doubt',
        message: `It is not known yet whether ${places.ref(ownership.peer).name} took ${spec.name} over`,
        remedy: `See "sojourn guest recover ${spec.name}"`,
      });
    const where =
      ownership.kind === 'elsewhere' ? places.ref(ownership.place).name : 'another place';
    throw new SojournError({
      kind: 'conflict',
      code: 'guest-elsewhere',
      message: `${spec.name} is at ${where}`,
      remedy: `Bring it here with "sojourn handoff ${spec.name} --to ${places.self.name}", or do this there`,
    });
  }

  #requireStill(spec: GuestSpec): void {
    if (this.#options.departures.find(spec.id) === undefined) return;
    throw new SojournError({
      kind: 'conflict',
      code: 'handoff-under-way',
      message: `A handoff of ${spec.name} is under way`,
      remedy: `Wait until it has ended, or cancel it with "sojourn handoff ${spec.name} --cancel"`,
    });
  }

  /** Nothing listens at the guest's addresses: whoever sends to them is told so. */
  async #unmap(spec: GuestSpec): Promise<void> {
    const { registry, datapath, places } = this.#options;
    await unmapGuest(spec.id, { registry, datapath, self: places.self.id });
  }
}

/** What boots by itself may have nothing but its screen to be set up by; a kernel with a command line has its console. */
function defaultDisplay({ boot }: ImageManifest, { displays }: QemuCapabilities): Display | 'none' {
  return boot.kind === 'kernel' ? 'none' : (displays[0] ?? 'none');
}

function nameTaken(name: string): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'guest-exists',
    message: `There is already a guest named ${name} here`,
    remedy: `Choose another name, or delete that guest with "sojourn guest delete ${name}"`,
  });
}

function notInDoubt(spec: GuestSpec): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'not-in-doubt',
    message: `Nothing about ${spec.name} is in doubt`,
    remedy: `See "sojourn guest show ${spec.name}" for its state`,
  });
}

function acceleratorUnusable(
  accelerator: Accelerator,
  { kvm }: Pick<AcceleratorVerdict, 'kvm'>,
): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'accelerator-unusable',
    message:
      accelerator === 'kvm'
        ? `KVM cannot be used here: ${kvm.reason}`
        : `The accelerator ${accelerator} cannot be used on this machine`,
    remedy:
      'Leave --accelerator out to create the guest with what works here; "sojourn doctor" tells more',
  });
}
