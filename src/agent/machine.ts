/** What this machine can do for guests, found out once and asked often. */
import { release } from 'node:os';
import {
  type AcceleratorVerdict,
  chooseAccelerator,
  type PlaceCapabilities,
  probeQemu,
  type QemuCapabilities,
  readPlaceCapabilities,
} from '../guest/index.ts';
import type { Accelerator } from '../guest/spec.ts';
import { acceleratorCacheFile, findProbeKernel } from './probe-kernel.ts';

export interface MachineOptions {
  readonly stateDirectory: string;
  readonly imagesDirectory: string;
  /** Taken as it is instead of being proved. */
  readonly accelerator: Accelerator | undefined;
}

export class Machine {
  readonly #options: MachineOptions;
  #qemu: Promise<QemuCapabilities> | undefined;
  #verdict: Promise<AcceleratorVerdict> | undefined;
  #known: { qemu?: QemuCapabilities; verdict?: AcceleratorVerdict } = {};

  constructor(options: MachineOptions) {
    this.#options = options;
  }

  /** What has been found out so far, without waiting. */
  get known(): { readonly qemu?: QemuCapabilities; readonly verdict?: AcceleratorVerdict } {
    return this.#known;
  }

  /** @throws SojournError as `probeQemu`; asked again after a failure, because QEMU may be installed meanwhile. */
  qemu(): Promise<QemuCapabilities> {
    this.#qemu ??= probeQemu().then(
      (qemu) => {
        this.#known = { ...this.#known, qemu };
        return qemu;
      },
      (error: unknown) => {
        this.#qemu = undefined;
        throw error;
      },
    );
    return this.#qemu;
  }

  /** The accelerator for new guests. A proof without a kernel to boot is not remembered. */
  verdict(): Promise<AcceleratorVerdict> {
    this.#verdict ??= this.#prove().then(
      (verdict) => {
        if (verdict.kvm.opens && verdict.kvm.boots === null) this.#verdict = undefined;
        this.#known = { ...this.#known, verdict };
        return verdict;
      },
      (error: unknown) => {
        this.#verdict = undefined;
        throw error;
      },
    );
    return this.#verdict;
  }

  async capabilities(): Promise<PlaceCapabilities> {
    const [qemu, verdict] = [await this.qemu(), await this.verdict()];
    return readPlaceCapabilities({
      qemu,
      verdict,
      diskDirectory: this.#options.stateDirectory,
      environment: process.env,
    });
  }

  async #prove(): Promise<AcceleratorVerdict> {
    const qemu = await this.qemu();
    const { accelerator } = this.#options;
    if (accelerator !== undefined) return asTold(accelerator, qemu);
    const probeKernel = await findProbeKernel({ images: this.#options.imagesDirectory });
    return chooseAccelerator({
      qemu,
      cacheFile: acceleratorCacheFile(process.env),
      ...(probeKernel === undefined ? {} : { probeKernel }),
    });
  }
}

function asTold(accelerator: Accelerator, qemu: QemuCapabilities): AcceleratorVerdict {
  return {
    accelerator: accelerator === 'kvm' ? 'kvm' : 'tcg',
    kvm: {
      present: accelerator === 'kvm',
      opens: accelerator === 'kvm',
      boots: null,
      reason: `${accelerator} was asked for with --accelerator and not tried`,
    },
    checkedAt: new Date().toISOString(),
    hostKernel: release(),
    qemuVersion: qemu.version.join('.'),
  };
}
