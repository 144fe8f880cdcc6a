import { createInterface } from 'node:readline/promises';
import type { CallInput, CallOutput, GuestView } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import {
  describeGuest,
  describeOverlay,
  describeState,
  summarizeStandby,
} from '../describe-guest.ts';
import { type CommonOptions, type Output, usageError } from '../output.ts';
import { printable, shortId, table } from '../text.ts';
import { parseCount, parseMemory, parseSize } from '../units.ts';
import { withAgent } from '../with-agent.ts';

/** What takes no longer is not remarked on, ms. */
const REMARK_AFTER_MS = 300;

export interface CreateOptions extends CommonOptions {
  readonly image: string;
  readonly memory?: string;
  readonly vcpus?: string;
  readonly overlayLimit?: string;
  readonly overlay?: 'memory' | 'disk';
  readonly accelerator?: CallInput<'guest.create'>['accelerator'];
  readonly display?: CallInput<'guest.create'>['display'];
}

export async function create(name: string, options: CreateOptions): Promise<void> {
  const { memory, vcpus, overlayLimit } = options;
  const input: CallInput<'guest.create'> = {
    name,
    image: options.image,
    memoryMiB: memory === undefined ? undefined : parseMemory(memory),
    vcpus: vcpus === undefined ? undefined : parseCount(vcpus),
    overlayLimitBytes: overlayLimit === undefined ? undefined : parseSize(overlayLimit),
    overlayStorage: options.overlay,
    accelerator: options.accelerator,
    display: options.display,
  };
  await withAgent(options, async (client, output) => {
    const guest = await client.call('guest.create', input);
    const { hoa4, hoa6Prefix } = guest.network;
    report(
      output,
      guest,
      `${name} is created, home address ${hoa4} and ${hoa6Prefix}; start it with "sojourn guest start ${name}"`,
    );
  });
}

export function start(
  guest: string,
  { fromCopy, ...options }: CommonOptions & { fromCopy?: boolean },
): Promise<void> {
  return change(options, (client) => client.call('guest.start', { guest, fromCopy }));
}

export function stop(guest: string, options: CommonOptions & { force?: boolean }): Promise<void> {
  return change(options, async (client, output) => {
    const slow = setTimeout(() => {
      if (!options.force)
        output.remark('waiting for the guest to power down (--force does not wait)');
    }, REMARK_AFTER_MS);
    try {
      return await client.call('guest.stop', { guest, force: options.force });
    } finally {
      clearTimeout(slow);
    }
  });
}

export function limit(guest: string, size: string, options: CommonOptions): Promise<void> {
  const overlayLimitBytes = parseSize(size);
  return change(options, (client) => client.call('guest.limit', { guest, overlayLimitBytes }));
}

export async function list(options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const guests = await client.call('guest.list', {});
    output.result(guests, guestTable(guests));
    if (guests.length === 0) {
      output.remark('no guests; make one with "sojourn guest create NAME --image IMAGE"');
    }
  });
}

export async function show(guest: string, options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const view = await client.call('guest.show', { guest });
    output.result(view, describeGuest(view).split('\n').map(printable).join('\n'));
    output.notices(view.notices, Date.now());
  });
}

export async function remove(
  guest: string,
  options: CommonOptions & { force?: boolean; yes?: boolean },
): Promise<void> {
  await withAgent(options, async (client, output) => {
    if (!options.yes && process.stdin.isTTY && process.stderr.isTTY) await confirmDeletion(guest);
    const deleted = await client.call('guest.delete', { guest, force: options.force });
    output.done(deleted, `${deleted.guest} is deleted`);
  });
}

export async function recover(
  guest: string,
  options: CommonOptions & { keepHere?: boolean; giveUpHere?: boolean },
): Promise<void> {
  if (options.keepHere && options.giveUpHere) {
    throw usageError(
      'options-contradict',
      '--keep-here and --give-up-here exclude each other',
      `Run "sojourn guest recover ${guest}" to see what each of them means`,
    );
  }
  const action = options.keepHere ? 'keep-here' : options.giveUpHere ? 'give-up-here' : undefined;
  await withAgent(options, async (client, output) => {
    const answer = await client.call('guest.recover', { guest, action });
    output.result(answer, describeRecovery(answer));
  });
}

/** With a column for standbys where there are any. */
export function guestTable(guests: readonly GuestView[]): string {
  const standbys = guests.some(({ standby }) => standby !== null);
  const header = ['GUEST', 'ID', 'STATE', 'HOME ADDRESS', 'MEMORY', 'OVERLAY'];
  return table(
    standbys ? [...header, 'STANDBY'] : header,
    guests.map((guest) => {
      const cells = [
        guest.name,
        shortId(guest.id),
        describeState(guest.state),
        guest.network.hoa4,
        `${guest.memoryMiB} MiB`,
        describeOverlay(guest.overlay),
      ];
      return standbys ? [...cells, summarizeStandby(guest.standby)] : cells;
    }),
  );
}

function describeRecovery(answer: CallOutput<'guest.recover'>): string {
  const { guest, explanation, choices, done } = answer;
  const lines = [`${guest.name}: ${describeState(guest.state)}`, explanation];
  if (done === null) {
    for (const { action, consequence } of choices) lines.push(`  --${action}: ${consequence}`);
  } else lines.push(`done: ${done}`);
  return lines.map(printable).join('\n');
}

async function confirmDeletion(guest: string): Promise<void> {
  const dialog = createInterface({ input: process.stdin, output: process.stderr });
  const question = `Delete guest ${printable(guest)} and everything it has written? [y/N] `;
  const answer = await dialog.question(question).catch(noAnswer);
  dialog.close();
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new SojournError({
    kind: 'cancelled',
    code: 'not-confirmed',
    message: 'Nothing was deleted, because it was not confirmed',
    remedy: 'Answer y, or use --yes',
  });
}

/** Ctrl-C or Ctrl-D at the question. */
function noAnswer(error: Error): string {
  if (error.name !== 'AbortError') throw error;
  process.stderr.write('\n');
  return '';
}

type Change = Parameters<typeof withAgent<GuestView>>[1];

async function change(options: CommonOptions, work: Change): Promise<void> {
  await withAgent(options, async (client, output) => {
    const guest = await work(client, output);
    report(output, guest, `${guest.name}: ${describeState(guest.state)}`);
  });
}

function report(output: Output, guest: GuestView, text: string): void {
  output.done(guest, printable(text));
  output.notices(guest.notices, Date.now());
}
