/** os-ken's switch tester as a process, and what it says of each pattern. */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { CONTROLLER_PORT, type Wiring } from './wiring.ts';

const TESTER = '/usr/lib/python3/dist-packages/os_ken/tests/switch/tester.py';

export interface Verdict {
  /** Of the file: `match: 29_ICMPV6_TYPE`. */
  readonly group: string;
  /** `ethernet/ipv6/icmpv6(type=128)-->'icmpv6_type=128,actions=output:2'`. */
  readonly pattern: string;
  readonly passed: boolean;
  /** Why not. */
  readonly detail?: string;
}

/** Runs every pattern of a folder; `groups` are the descriptions of its files. `onVerdict` is called as they come. */
export async function runTester(
  wiring: Wiring,
  patterns: string,
  groups: ReadonlySet<string>,
  onVerdict: (verdict: Verdict) => void,
): Promise<Verdict[]> {
  const child = await wiring.place.spawn(
    [
      ...[
        '/usr/bin/osken-manager',
        '--nouse-stderr',
        '--ofp-tcp-listen-port',
        String(CONTROLLER_PORT),
      ],
      ...['--test-switch-dir', patterns, TESTER],
    ],
    // Python would keep what it says until there is much of it.
    { stdout: 'pipe', stderr: 'pipe', env: { PYTHONUNBUFFERED: '1' } },
  );
  const reader = new VerdictReader(groups, onVerdict);
  const said = read(child, (line) => reader.line(line));
  await once(child, 'close');
  if (!reader.finished) throw new Error(`os-ken's tester did not finish:\n${said()}`);
  return reader.verdicts;
}

function read(child: ChildProcess, line: (text: string) => void): () => string {
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.on('data', (chunk) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const text of lines) {
        last.push(text);
        if (last.length > 40) last.shift();
        line(text);
      }
    });
  }
  return () => last.join('\n');
}

/**
 * The tester prints
 *   match: 29_ICMPV6_TYPE
 *       ethernet/ipv6/...                                               OK
 *       ethernet/ipv6/...                                               ERROR
 *           Received incorrect packet: ...
 */
export class VerdictReader {
  readonly verdicts: Verdict[] = [];
  finished = false;
  readonly #groups: ReadonlySet<string>;
  readonly #onVerdict: (verdict: Verdict) => void;
  #group = '';
  #started = false;
  #failed: Omit<Verdict, 'detail'> | undefined;

  constructor(groups: ReadonlySet<string>, onVerdict: (verdict: Verdict) => void) {
    this.#groups = groups;
    this.#onVerdict = onVerdict;
  }

  line(text: string): void {
    if (text.startsWith('--- Test start')) this.#started = true;
    if (!this.#started || this.finished) return;
    if (this.#failed !== undefined) {
      this.#add({ ...this.#failed, detail: text.trim() });
      this.#failed = undefined;
      return;
    }
    const result = /^ {4}(\S.*?) +(OK|ERROR)$/.exec(text);
    if (result !== null) {
      const verdict = {
        group: this.#group,
        pattern: result[1] as string,
        passed: result[2] === 'OK',
      };
      if (verdict.passed) this.#add(verdict);
      else this.#failed = verdict;
    } else if (/^--- {2}Test end/.test(text)) this.finished = true;
    else if (this.#groups.has(text.trim())) this.#group = text.trim();
  }

  #add(verdict: Verdict): void {
    this.verdicts.push(verdict);
    this.#onVerdict(verdict);
  }
}
