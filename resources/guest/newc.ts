/**
 * Writes a cpio archive in the `newc` format that Linux unpacks as its initramfs
 * (Linux `Documentation/driver-api/early-userspace/buffer-format.rst`). The same entries give the same
 * bytes: no clocks, no owners, order by name. Device nodes need no root.
 *
 * Each entry: "070701", thirteen fields of 8 hex digits (inode, mode, uid, gid, links, mtime, size, device
 * major and minor, node major and minor, name size with its NUL, checksum 0), name, data; both padded to 4.
 */

export type Entry =
  | { kind: 'directory' }
  | { kind: 'file'; data: Uint8Array; executable: boolean }
  | { kind: 'symlink'; target: string }
  | { kind: 'character-device'; major: number; minor: number };

const fileType = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  'character-device': 0o020000,
} as const;

function permissions(entry: Entry): number {
  switch (entry.kind) {
    case 'directory':
      return 0o755;
    case 'file':
      return entry.executable ? 0o755 : 0o644;
    case 'symlink':
      return 0o777;
    case 'character-device':
      return 0o600;
  }
}

function padded(data: Uint8Array): Buffer {
  return Buffer.concat([data, Buffer.alloc(-data.length & 3)]);
}

function record(inode: number, name: string, entry: Entry | undefined): Buffer {
  const data =
    entry?.kind === 'file'
      ? entry.data
      : Buffer.from(entry?.kind === 'symlink' ? entry.target : '');
  const node = entry?.kind === 'character-device' ? entry : { major: 0, minor: 0 };
  const mode = entry === undefined ? 0 : fileType[entry.kind] | permissions(entry);
  const nameBytes = Buffer.from(`${name}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, node.major, node.minor];
  const header = [...fields, nameBytes.length, 0].map((n) => n.toString(16).padStart(8, '0'));
  return Buffer.concat([
    padded(Buffer.concat([Buffer.from(`070701${header.join('')}`), nameBytes])),
    padded(data),
  ]);
}

/** The archive of `entries`, by path without a leading slash; parent directories are added. */
export function newc(entries: ReadonlyMap<string, Entry>): Buffer {
  const all = new Map<string, Entry>(entries);
  for (const path of entries.keys()) {
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
      const parent = path.slice(0, cut);
      if (!all.has(parent)) all.set(parent, { kind: 'directory' });
    }
  }
  // A directory sorts before what is in it, because its name is a prefix.
  const paths = [...all.keys()].sort();
  return Buffer.concat([
    ...paths.map((path, index) => record(index + 1, path, all.get(path))),
    record(0, 'TRAILER!!!', undefined),
  ]);
}
