import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Behaviour = 'good' | 'hang' | 'garbage' | 'fail' | 'endless' | 'off';

const station = (dbm: number) => `Station 58:11:22:27:c5:d4 (on wlan0)
	rx bytes:	21670
	tx packets:	100
	tx retries:	8
	tx failed:	0
	beacon loss:	0
	signal:  	${dbm} dBm
	tx bitrate:	54.0 MBit/s
	rx bitrate:	48.0 MBit/s
`;
const link = `Connected to 58:11:22:27:c5:d4 (on wlan0)
	SSID: home
	freq: 5660
	signal: -60 dBm
`;

/** A program like `iw` whose behaviour can be changed while it is used. */
export class FakeIw {
  readonly folder: string;
  readonly path: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.path = join(folder, 'iw');
  }

  static async make(): Promise<FakeIw> {
    const iw = new FakeIw(await mkdtemp(join(tmpdir(), 'sojourn-iw-')));
    await writeFile(join(iw.folder, 'link'), link);
    await iw.level(-60);
    await iw.behave('good');
    await writeFile(
      iw.path,
      `#!/bin/sh
cd '${iw.folder}'
echo "$LC_ALL" > locale
if [ "$1" = event ]; then
  echo $$ > event.pid
  exec cat events
fi
echo $$ > "running.$$"
trap 'rm -f "running.$$"' EXIT
[ -e busy ] && echo overlap >> overlaps
: > busy
read -r mode < mode
case $mode in
  hang) exec sleep 600 ;;
  garbage) printf '\\000\\377 not a station\\n' ;;
  fail) echo 'command failed: No such device (-19)' >&2; rm -f busy; exit 237 ;;
  endless) exec yes garbage ;;
  off) case "$*" in *link) echo 'Not connected.' ;; dev) printf 'phy#0\\n\\tInterface wlan0\\n\\t\\ttype managed\\n' ;; esac ;;
  good)
    case "$*" in
      *link) cat link ;;
      *dump) cat station ;;
      dev) printf 'phy#0\\n\\tInterface wlan0\\n\\t\\ttype managed\\n' ;;
    esac ;;
esac
rm -f busy
`,
    );
    await chmod(iw.path, 0o755);
    // A FIFO would need mkfifo; a file that ends makes "iw event" end, which is what the sensor has to live with.
    await writeFile(join(iw.folder, 'events'), '');
    return iw;
  }

  async behave(behaviour: Behaviour): Promise<void> {
    await rm(join(this.folder, 'busy'), { force: true });
    await writeFile(join(this.folder, 'mode'), `${behaviour}\n`);
  }

  async level(dbm: number): Promise<void> {
    await writeFile(join(this.folder, 'station'), station(dbm));
  }

  /** Process ids of calls that have begun and not ended by themselves. */
  async pids(): Promise<number[]> {
    const names = await readdir(this.folder);
    return names.filter((name) => name.startsWith('running.')).map((name) => Number(name.slice(8)));
  }

  async text(name: string): Promise<string> {
    return (await readFile(join(this.folder, name), 'utf8').catch(() => '')).trim();
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A process that only waits for its parent to look is not alive. */
export async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return stat !== '' && !/^\d+ \(.*\) Z/s.test(stat);
}
