import type { CallInput, IncomingView, ReceivingView } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import { type CommonOptions, usageError } from '../output.ts';
import { printable, shortId, table } from '../text.ts';
import { formatBytes, formatDuration, parseMemory, parseSize } from '../units.ts';
import { withAgent } from '../with-agent.ts';

export interface ReceiveOptions extends CommonOptions {
  readonly from?: string;
  readonly guests?: string;
  readonly memory?: string;
  readonly disk?: string;
  readonly fetch?: 'on' | 'off';
}

type Mode = 'off' | 'ask' | 'always' | 'default';

export async function receive(mode: Mode | undefined, options: ReceiveOptions): Promise<void> {
  const { from: place, fetch, guests, memory, disk } = options;
  const limits = {
    guests: limit(guests, parseWhole),
    memoryMiB: limit(memory, parseMemory),
    diskBytes: limit(disk, parseSize),
  };
  const limited = Object.values(limits).some((value) => value !== undefined);
  if (place === undefined && (limited || fetch !== undefined || mode === 'default'))
    throw usageError(
      'place-missing',
      'Limits, the right to fetch guests and "default" are of one place',
      'Name it with --from PLACE; "sojourn places" lists them',
    );
  const change: CallInput<'receiving.set'> = {
    ...(place === undefined ? {} : { place }),
    ...(mode === undefined ? {} : { receive: mode }),
    ...(fetch === undefined ? {} : { fetch: fetch === 'on' }),
    ...(limited ? { limits } : {}),
  };
  await withAgent(options, async (client, output) => {
    const nothing = Object.keys(change).every((key) => key === 'place');
    const view = nothing
      ? await client.call('receiving.show', {})
      : await client.call('receiving.set', change);
    output.result(view, describe(view));
  });
}

export async function list(options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const incoming = await client.call('incoming.list', {});
    output.result(incoming, incomingTable(incoming, Date.now()));
    if (incoming.length === 0) output.remark('Nothing asks to come in.');
  });
}

export async function answer(
  reference: string,
  how: 'once' | 'always' | 'refuse',
  options: CommonOptions,
): Promise<void> {
  await withAgent(options, async (client, output) => {
    const asked = await client.call('incoming.list', {});
    const { id } = find(asked, reference);
    const told = await client.call('incoming.answer', { incoming: id, answer: how });
    const what = `${told.guest.name} of ${told.from.name}`;
    const done = {
      once: `${what} may come`,
      always: `${what} may come, and so may everything from ${told.from.name}`,
      refuse: `${what} is refused`,
    };
    output.done(told, printable(done[how]));
  });
}

function find(asked: readonly IncomingView[], reference: string): IncomingView {
  const found = asked.filter(
    ({ id, guest }) => guest.name === reference || id.startsWith(reference),
  );
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const many = found.length > 1;
  throw new SojournError({
    kind: many ? 'usage' : 'not-found',
    code: many ? 'incoming-ambiguous' : 'incoming-unknown',
    message: many
      ? `${JSON.stringify(reference)} stands for ${found.length} guests that ask to come in`
      : `Nothing named ${JSON.stringify(reference)} asks to come in`,
    remedy: 'See "sojourn incoming" for what does, and give its id',
  });
}

function incomingTable(incoming: readonly IncomingView[], nowMs: number): string {
  return table(
    ['ID', 'GUEST', 'FROM', 'WANTS', 'MEMORY', 'PROCESSORS', 'DISK', 'TIME LEFT'],
    incoming.map(({ id, guest, from, standby, memoryMiB, vcpus, diskBytes, expiresAt }) => [
      shortId(id),
      guest.name,
      from.name,
      standby ? 'to stand by' : 'to run here',
      `${memoryMiB} MiB`,
      String(vcpus),
      formatBytes(diskBytes),
      formatDuration(Math.max(0, Date.parse(expiresAt) - nowMs)),
    ]),
  );
}

function describe({ receive: all, listens, places }: ReceivingView): string {
  const rows = places.map(({ place, rights: { receive: mode, own, fetch, limits } }) => [
    place.name,
    own ? mode : `${mode} (as all)`,
    fetch ? 'yes' : 'no',
    limits.guests === null ? '-' : String(limits.guests),
    limits.memoryMiB === null ? '-' : `${limits.memoryMiB} MiB`,
    limits.diskBytes === null ? '-' : formatBytes(limits.diskBytes),
  ]);
  const heard =
    listens.length === 0 ? [] : [`other devices reach this one at ${listens.join(' ')}`];
  return [
    `guests of other places: ${all}`,
    ...heard,
    table(['PLACE', 'RECEIVE', 'MAY FETCH', 'GUESTS', 'MEMORY', 'DISK'], rows),
  ]
    .filter((line) => line !== '')
    .join('\n');
}

/** `none` takes the limit away. */
function limit(
  text: string | undefined,
  parse: (text: string) => number,
): number | null | undefined {
  if (text === undefined) return undefined;
  return text === 'none' ? null : parse(text);
}

/** Zero too: no guest at all. */
function parseWhole(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw usageError(
    'count-malformed',
    `${JSON.stringify(text)} is not a number of guests`,
    'Write it like 2, or "none" for no limit',
  );
}
