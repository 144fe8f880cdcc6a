/** A guest's QEMU command line, turned into that of a twin in another folder with an empty overlay. */
import { dirname, join } from 'node:path';
import { z } from 'zod';

export interface TwinDisk {
  readonly name: string;
  readonly overlayPath: string;
  readonly basePath: string;
  /** Bytes; the file of the overlay must be this long. */
  readonly limitBytes: number;
}

export interface Twin {
  readonly argv: string[];
  readonly qmpSocket: string;
  readonly consoleLog: string;
  readonly disks: TwinDisk[];
  readonly memoryBytes: number;
}

const node = z.looseObject({
  'node-name': z.string().optional(),
  filename: z.string().optional(),
  file: z.union([z.string(), z.looseObject({ filename: z.string() })]).optional(),
  size: z.number().optional(),
});

/**
 * `argv`: of a guest that was started, not received. Everything stays as it is but for the sockets and logs,
 * which go to `directory`, the overlays, and with `incoming` an address to wait at, e.g. `tcp:[::]:4444`.
 * Throws when the command line is not one of Sojourn's.
 */
export function twinOf(argv: readonly string[], directory: string, incoming?: string): Twin {
  const qmp = argv.map((each) => /^socket,id=qmp,path=([^,]+)/.exec(each)?.[1]).find(Boolean);
  if (qmp === undefined) throw new Error('the command line has no QMP socket');
  const original = dirname(qmp);
  const nodes = argv.flatMap((each, index) =>
    argv[index - 1] === '-blockdev' ? [node.parse(JSON.parse(each))] : [],
  );
  const disks = nodes.flatMap((each): TwinDisk[] => {
    const name = each['node-name'] ?? '';
    if (!name.endsWith('-store')) return [];
    const disk = name.slice(0, -'-store'.length);
    const base = nodes.find((other) => other['node-name'] === `${disk}-base`)?.file;
    const limitBytes = nodes.find((other) => other['node-name'] === `${disk}-file`)?.size;
    if (typeof base !== 'object' || limitBytes === undefined)
      throw new Error(`the command line does not tell base and limit of ${disk}`);
    const overlayPath = join(directory, `${disk}.qcow2`);
    return [{ name: disk, overlayPath, basePath: base.filename, limitBytes }];
  });
  const twin: string[] = [];
  for (const [index, each] of argv.entries()) {
    const before = argv[index - 1];
    if (each === '-S' || each === '-incoming' || before === '-incoming') continue;
    if (before === '-blockdev') twin.push(rewriteNode(each, disks));
    else if (before === '-netdev') twin.push(rewriteNetdev(each, join(directory, 'net.sock')));
    else twin.push(each.replaceAll(`${original}/`, `${directory}/`));
  }
  return {
    argv: incoming === undefined ? twin : [...twin, '-incoming', incoming],
    qmpSocket: qmp.replace(original, directory),
    consoleLog: join(directory, 'console.log'),
    disks,
    memoryBytes: memoryMiB(argv) * 1024 * 1024,
  };
}

function memoryMiB(argv: readonly string[]): number {
  const size = argv.map((each) => /^size=(\d+)M$/.exec(each)?.[1]).find(Boolean);
  if (size === undefined) throw new Error('the command line does not tell the memory');
  return Number(size);
}

// What is not rewritten stays as it was, the order of the keys included.

function rewriteNode(json: string, disks: readonly TwinDisk[]): string {
  const original: object = JSON.parse(json);
  const disk = disks.find(({ name }) => node.parse(original)['node-name'] === `${name}-store`);
  return disk === undefined ? json : JSON.stringify({ ...original, filename: disk.overlayPath });
}

function rewriteNetdev(json: string, path: string): string {
  const original: { addr?: object } = JSON.parse(json);
  return JSON.stringify({ ...original, addr: { ...original.addr, path } });
}
