/** What the installed QEMU can do, asked from itself. Nothing is guessed from its version but its age. */
import { execa } from 'execa';
import { z } from 'zod';
import { SojournError } from '../common/index.ts';
import { qemuMissing, startError, withQemu } from './qemu-session.ts';
import { type QmpClient, QmpError } from './qmp/index.ts';
import { hasCommand, missingFeatures, type QmpSchema, qmpSchema } from './qmp-schema.ts';
import type { Display } from './spec.ts';

/** Oldest version with all that is needed: `reconnect-ms` of stream netdevs came with 9.2. */
export const MINIMUM_QEMU: QemuVersion = [9, 2, 0];
const PROBE_TIMEOUT_MS = 20_000;

export type QemuVersion = readonly [major: number, minor: number, micro: number];
export type Architecture = 'x86_64' | 'aarch64';

export interface QemuCapabilities {
  readonly binary: string;
  readonly architecture: Architecture;
  readonly version: QemuVersion;
  /** Names of machine types, versioned ones and aliases. */
  readonly machines: readonly string[];
  /** CPU models that run here in full under `cpuAccelerator`. */
  readonly cpus: readonly string[];
  /** CPU flags that can be had here under `cpuAccelerator`, in QEMU's spelling. Empty if QEMU does not tell. */
  readonly cpuFeatures: readonly string[];
  readonly cpuAccelerator: string;
  /** Accelerators compiled in; whether one works is another question (`chooseAccelerator`). */
  readonly accelerators: readonly string[];
  /** Screens that it can give to guests and show to viewers. */
  readonly displays: readonly Display[];
}

export interface ProbeOptions {
  /** Which accelerator the CPU models are asked for. It must be known to work: `kvm` may hang otherwise. */
  readonly cpuAccelerator?: 'tcg' | 'kvm';
}

const machinesSchema = z.array(z.object({ name: z.string(), alias: z.string().optional() }));
const cpusSchema = z.array(
  z.object({ name: z.string(), 'unavailable-features': z.array(z.string()).optional() }),
);
const expansionSchema = z.object({ model: z.object({ props: z.record(z.string(), z.unknown()) }) });

/**
 * Asks a QEMU binary (about 0.2 s). Throws SojournError: `qemu-missing`, `qemu-too-old`,
 * `qemu-lacks-<capability>`, `qemu-failed`, `qemu-architecture-unknown`.
 */
export async function probeQemu(
  binary = 'qemu-system-x86_64',
  options: ProbeOptions = {},
): Promise<QemuCapabilities> {
  const cpuAccelerator = options.cpuAccelerator ?? 'tcg';
  const version = await readVersion(binary);
  if (compareVersions(version, MINIMUM_QEMU) < 0) throw tooOld(binary, version);
  const accelerators = await readAccelerators(binary);
  const machine = cpuAccelerator === 'tcg' ? 'none' : 'q35';
  const args = ['-M', machine, '-accel', cpuAccelerator, '-S', '-nodefaults', '-display', 'none'];
  return withQemu(binary, args, PROBE_TIMEOUT_MS, async (qmp) => {
    const schema = await qmp.query(qmpSchema, 'query-qmp-schema');
    const missing = missingFeatures(schema)[0];
    if (missing !== undefined) throw lacks(binary, version, missing);
    const machines = await qmp.query(machinesSchema, 'query-machines');
    const cpus = await qmp.query(cpusSchema, 'query-cpu-definitions');
    return {
      binary,
      architecture: await readArchitecture(qmp),
      version,
      machines: machines.flatMap(({ name, alias }) => (alias === undefined ? name : [name, alias])),
      cpus: cpus
        .filter((cpu) => (cpu['unavailable-features'] ?? []).length === 0)
        .map(({ name }) => name),
      cpuFeatures: await readCpuFeatures(qmp, schema),
      cpuAccelerator,
      accelerators,
      displays: await readDisplays(qmp, schema),
    };
  });
}

/** Negative if `a` is older than `b`, 0 if equal, positive if newer. */
export function compareVersions(a: QemuVersion, b: QemuVersion): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

export function versionText(version: QemuVersion): string {
  return version.join('.');
}

async function readVersion(binary: string): Promise<QemuVersion> {
  const { stdout, stderr, code } = await runOnce(binary, ['--version']);
  if (code === 'ENOENT' || code === 'EACCES') throw qemuMissing(binary, code);
  const match = /emulator version (\d+)\.(\d+)\.(\d+)/.exec(stdout);
  if (match === null) throw startError(binary, code, stderr || 'it does not tell its version');
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}

async function readAccelerators(binary: string): Promise<string[]> {
  const { stdout } = await runOnce(binary, ['-accel', 'help']);
  return stdout
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^[a-z0-9]+$/.test(line));
}

async function readArchitecture(qmp: QmpClient): Promise<Architecture> {
  const { arch } = await qmp.query(z.object({ arch: z.string() }), 'query-target');
  if (arch === 'x86_64' || arch === 'aarch64') return arch;
  throw new SojournError({
    kind: 'requirement',
    code: 'qemu-architecture-unknown',
    message: `This QEMU runs ${arch} guests, which Sojourn does not know`,
    remedy: 'Use qemu-system-x86_64 or qemu-system-aarch64',
  });
}

const typesSchema = z.array(z.object({ name: z.string() }));

async function readDisplays(qmp: QmpClient, schema: QmpSchema): Promise<Display[]> {
  if (!hasCommand(schema, 'query-vnc')) return [];
  const devices = await qmp.query(typesSchema, 'qom-list-types', { implements: 'pci-device' });
  const has = new Set(devices.map(({ name }) => name));
  // A PC's screen: the virtual board of other processors has none.
  const isPc = (await readArchitecture(qmp)) === 'x86_64';
  return isPc && has.has('VGA') && has.has('virtio-tablet-pci') ? ['vga'] : [];
}

async function readCpuFeatures(qmp: QmpClient, schema: QmpSchema): Promise<string[]> {
  if (!hasCommand(schema, 'query-cpu-model-expansion')) return [];
  try {
    const { model } = await qmp.query(expansionSchema, 'query-cpu-model-expansion', {
      type: 'full',
      model: { name: 'max' },
    });
    return Object.entries(model.props)
      .filter(([, value]) => value === true)
      .map(([name]) => name);
  } catch (error) {
    // Not every architecture expands `max` without a machine; flags are then checked by QEMU at start only.
    if (error instanceof QmpError) return [];
    throw error;
  }
}

async function runOnce(binary: string, args: readonly string[]) {
  const result = await execa(binary, args, {
    reject: false,
    timeout: PROBE_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024,
  });
  return { stdout: result.stdout ?? '', stderr: result.stderr ?? '', code: result.code };
}

function tooOld(binary: string, version: QemuVersion): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'qemu-too-old',
    message: `${binary} is QEMU ${versionText(version)}, but ${versionText(MINIMUM_QEMU)} or newer is needed`,
    remedy: 'Run "npm run setup", which takes it from the backports suite on Debian 12',
  });
}

function lacks(
  binary: string,
  version: QemuVersion,
  missing: { readonly name: string; readonly purpose: string },
): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: `qemu-lacks-${missing.name}`,
    message: `${binary} ${versionText(version)} was built without ${missing.name}, which is needed ${missing.purpose}`,
    remedy: 'Install the QEMU package of your distribution instead of this build',
  });
}
