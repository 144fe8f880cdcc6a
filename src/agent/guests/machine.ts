/** What this machine can do for guests, found out once and asked often. */
import { stat } from 'node:fs/promises';
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import {
  type AcceleratorVerdict,
  chooseAccelerator,
  type PlaceCapabilities,
  probeQemu,
  type QemuCapabilities,
  readPlaceCapabilities,
} from '../../guest/index.ts';
import type { Accelerator } from '../../guest/spec.ts';
import { acceleratorCacheFile, findProbeKernel } from './probe-kernel.ts';

const QEMU = 'qemu-system-x86_64';

export interface MachineOptions {
  readonly stateDirectory: string;
  readonly imagesDirectory: string;
  /** Taken as it is instead of being proved. */
  readonly accelerator: Accelerator | undefined;
}

export class Machine {
  readonly #options: MachineOptions;
  /** Which file was asked. */
  #file: string | undefined;
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

  /** @throws SojournError as `probeQemu`; asked again after a failure, and when another QEMU was installed meanwhile. */
  async qemu(): Promise<QemuCapabilities> {
    const file = await fileOf(QEMU, process.env.PATH);
    if (file !== this.#file) {
      this.#file = file;
      this.#qemu = undefined;
      this.#verdict = undefined;
    }
    this.#qemu ??= probeQemu(QEMU).then(
      (qemu) => {
        this.#known = { ...this.#known, qemu };
        return qemu;
      },
      (error: unknown) => {
        this.#qemu = undefined;
        this.#known = {};
        throw error;
      },
    );
    return this.#qemu;
  }

  /** The accelerator for new guests. A proof without a kernel to boot is not remembered. */
  async verdict(): Promise<AcceleratorVerdict> {
    const qemu = await this.qemu();
    this.#verdict ??= this.#prove(qemu).then(
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

  /** What guests under `accelerator` find here. Software emulation needs no proof, and no waiting for that of KVM. */
  async capabilities(accelerator: Accelerator): Promise<PlaceCapabilities> {
    const qemu = await this.qemu();
    const verdict = accelerator === 'tcg' ? { accelerator } : await this.verdict();
    return readPlaceCapabilities({
      qemu,
      verdict,
      diskDirectory: this.#options.stateDirectory,
      environment: process.env,
    });
  }

  async #prove(qemu: QemuCapabilities): Promise<AcceleratorVerdict> {
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
      reason: `it was not tried, because the agent was started with --accelerator ${accelerator}`,
    },
    checkedAt: new Date().toISOString(),
    hostKernel: release(),
    qemuVersion: qemu.version.join('.'),
  };
}

/** Tells one installed file from another; empty when there is none. */
async function fileOf(program: string, path = ''): Promise<string> {
  for (const directory of path.split(delimiter)) {
    const file = join(directory, program);
    const info = await stat(file).catch(() => undefined);
    if (info?.isFile()) return [file, info.ino, info.size, info.mtimeMs].join(' ');
  }
  return '';
}
