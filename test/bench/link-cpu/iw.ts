/** A stand-in for `iw`: one interface, connected, at a level that does not change. */
import { chmod, writeFile } from 'node:fs/promises';

export async function writeIw(path: string, dbm: number): Promise<void> {
  await writeFile(path, script(dbm));
  await chmod(path, 0o755);
}

function script(dbm: number): string {
  return `#!/bin/sh
case "$*" in
  event) exec sleep 100000 ;;
  dev) printf 'phy#0\\n\\tInterface wlan0\\n\\t\\ttype managed\\n' ;;
  *link) printf 'Connected to 58:11:22:27:c5:d4 (on wlan0)\\n\\tSSID: home\\n\\tfreq: 5660\\n\\tsignal: ${dbm} dBm\\n\\ttx bitrate: 54.0 MBit/s\\n' ;;
  *dump) printf 'Station 58:11:22:27:c5:d4 (on wlan0)\\n\\trx bytes:\\t21670\\n\\ttx packets:\\t100\\n\\ttx retries:\\t8\\n\\ttx failed:\\t0\\n\\tbeacon loss:\\t0\\n\\tsignal:  \\t${dbm} dBm\\n\\ttx bitrate:\\t54.0 MBit/s\\n' ;;
esac
`;
}
