/** The command line of the demo. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SojournError } from '../../src/common/index.ts';

export const LINKS = {
  '100M': { rateBitsPerSecond: 100e6, delayMs: 10, words: '100 Mbit/s, round trip 20 ms' },
  '50M': { rateBitsPerSecond: 50e6, delayMs: 15, words: '50 Mbit/s, round trip 30 ms' },
  '20M': { rateBitsPerSecond: 20e6, delayMs: 25, words: '20 Mbit/s, round trip 50 ms' },
} as const;
export type LinkName = keyof typeof LINKS;

const TOPOLOGIES = ['device', 'translation'] as const;
export type TopologyName = (typeof TOPOLOGIES)[number];

export interface DemoOptions {
  readonly json: boolean;
  /** Folder to leave the evidence in; undefined: it goes with the run. */
  readonly evidence: string | undefined;
  /** Keep networks and agents for a look until Ctrl-C. */
  readonly keep: boolean;
  readonly link: LinkName;
  /** A recording that the laptop's link follows, and its agent's sensor; nobody asks for a handoff then. */
  readonly trace: string | undefined;
  readonly topology: TopologyName;
}

/** Exit code of a run that was told to end. */
export const INTERRUPTED = 130;
const TRACE = fileURLToPath(new URL('./traces/walk-out-and-back.csv', import.meta.url));

export const USAGE = `npm run demo -- [options]

A Linux guest moves from a "laptop" to a "cloud site" on another network and back,
while somebody on a third network pings it and talks to it. Everything runs on this
machine, in network namespaces, and is gone afterwards.

  --json            end with one line of JSON (use: npm run -s demo -- --json)
  --evidence DIR    leave raw logs, captures and command lines in DIR
  --link PRESET     the laptop's link: ${Object.keys(LINKS).join(', ')} (default 100M)
  --trace FILE      the laptop moves as in a recording, and the guest leaves and returns by
                    itself; without FILE, or with "default", a short walk
  --topology NAME   device: the above (default); translation: the guest moves between two sites
                    behind Open vSwitch and back, with an address of each that stands for its own
  --keep            keep everything running at the end, until Ctrl-C
  --help            print this
`;

/** Undefined when only help was asked for. Throws SojournError (`usage`). */
export function parseOptions(argv: readonly string[]): DemoOptions | undefined {
  try {
    const { values } = parseArgs({
      args: withTrace(argv),
      options: {
        json: { type: 'boolean', default: false },
        evidence: { type: 'string' },
        keep: { type: 'boolean', default: false },
        link: { type: 'string' },
        trace: { type: 'string' },
        topology: { type: 'string', default: 'device' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return undefined;
    const { topology, link = '100M' } = values;
    if (!isLink(link)) throw new Error(`There is no link preset ${link}`);
    if (values.trace !== undefined && (values.link !== undefined || values.keep))
      throw new Error(
        'A recording has its own link and its own end: --trace goes without --link and --keep',
      );
    if (!isTopology(topology)) throw new Error(`There is no topology ${topology}`);
    if (topology === 'translation' && (values.trace !== undefined || values.keep))
      throw new Error('--trace and --keep are not for the translation');
    const trace = values.trace === 'default' ? TRACE : values.trace;
    return { ...values, evidence: values.evidence, link, trace, topology };
  } catch (cause) {
    throw new SojournError({
      kind: 'usage',
      code: 'command-line',
      message: (cause as Error).message,
      remedy: 'See npm run demo -- --help',
      cause,
    });
  }
}

/** `--trace` alone means the recording that comes with the demo. */
function withTrace(argv: readonly string[]): string[] {
  return argv.flatMap((argument, index) => {
    const next = argv[index + 1];
    const alone = argument === '--trace' && (next === undefined || next.startsWith('-'));
    return alone ? [argument, 'default'] : [argument];
  });
}

function isTopology(name: string): name is TopologyName {
  return (TOPOLOGIES as readonly string[]).includes(name);
}

function isLink(name: string): name is LinkName {
  return Object.hasOwn(LINKS, name);
}
