/** The kernel image that proves or disproves KVM, and where the verdict is remembered. */
import { access, constants, readdir } from 'node:fs/promises';
import { homedir, release } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { ImageStore } from '../../images/index.ts';

/**
 * One per user, not per state directory: the verdict is about the host
 * (XDG Base Directory Specification 0.8, XDG_CACHE_HOME).
 */
export function acceleratorCacheFile(env: NodeJS.ProcessEnv): string {
  const xdg = env.XDG_CACHE_HOME;
  const base = xdg !== undefined && isAbsolute(xdg) ? xdg : join(env.HOME ?? homedir(), '.cache');
  return join(base, 'sojourn', 'accelerator.json');
}

export interface KernelSources {
  /** Image store to look into; it need not exist. */
  readonly images: string;
  readonly boot?: string;
  readonly demoGuest?: string;
}

/**
 * A readable Linux kernel image: the host's own, that of an imported image, or that of the demo guest.
 * Undefined when there is none (the host's are often readable only by root).
 */
export async function findProbeKernel(sources: KernelSources): Promise<string | undefined> {
  const demo =
    sources.demoGuest ?? join(import.meta.dirname, '../../../.cache/demo-guest/current/vmlinuz');
  const candidates = [
    ...(await hostKernels(sources.boot ?? '/boot')),
    ...(await imageKernels(sources.images)),
    demo,
  ];
  for (const path of candidates) if (await isReadable(path)) return path;
  return undefined;
}

/** The running one first, then the newest. */
async function hostKernels(boot: string): Promise<string[]> {
  const names = await readdir(boot).catch(() => []);
  const running = `vmlinuz-${release()}`;
  return names
    .filter((name) => name.startsWith('vmlinuz'))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .sort((a, b) => Number(b === running) - Number(a === running))
    .map((name) => join(boot, name));
}

async function imageKernels(directory: string): Promise<string[]> {
  if (!(await isReadable(directory))) return [];
  const store = new ImageStore(directory);
  const images = await store.list();
  return images.flatMap(({ boot }) =>
    boot.kind === 'kernel' ? store.path(boot.kernel.digest) : [],
  );
}

function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
