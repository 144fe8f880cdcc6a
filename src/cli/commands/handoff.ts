import type { HandoffResult } from '../../api/index.ts';
import { describeProgress, describeState } from '../describe-guest.ts';
import { INTERRUPTED } from '../exit-codes.ts';
import { type CommonOptions, usageError } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import { printable } from '../text.ts';
import { formatBytes, formatDuration } from '../units.ts';
import { withAgent } from '../with-agent.ts';

export interface HandoffOptions extends CommonOptions {
  readonly to?: string;
  readonly cancel?: boolean;
  readonly urgent?: boolean;
  readonly slowGuest?: boolean;
}

export async function handoff(guest: string, options: HandoffOptions): Promise<void> {
  if (options.cancel) return cancel(guest, options);
  const { to, urgent, slowGuest } = options;
  if (to === undefined) {
    throw usageError(
      'place-missing',
      'The place to go to is missing',
      'Name it with "sojourn handoff GUEST --to PLACE"; "sojourn places" lists them',
    );
  }
  await withAgent(options, async (client, output) => {
    const line = new ProgressLine(process.stderr);
    const interrupt = interruptible(() => {
      line.clear();
      output.remark('cancelling the handoff; Ctrl-C again leaves without waiting');
    });
    try {
      const result = await client.call(
        'handoff.start',
        { guest, to, urgent, slowGuest },
        {
          signal: interrupt.signal,
          onItem: (progress) => {
            if (output.json) output.jsonLine({ progress });
            else if (!output.quiet) {
              line.show(progress.phase, describeProgress(progress), Date.now());
            }
          },
        },
      );
      line.clear();
      if (interrupt.signal.aborted) {
        output.remark('it was too late to cancel: the guest had already been handed over');
      }
      output.done({ result }, printable(describeResult(result)));
    } finally {
      line.clear();
      interrupt.release();
    }
  });
}

async function cancel(guest: string, options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const answer = await client.call('handoff.cancel', { guest });
    const { name, state } = answer.guest;
    output.done(answer, printable(`the handoff is cancelled; ${name}: ${describeState(state)}`));
  });
}

export function describeResult(result: HandoffResult): string {
  const { guest, to, triggerToRunningMs, pauseMs, bytesOnLink, kind } = result;
  return (
    `${guest.name} now runs on ${to.name}: ${formatDuration(triggerToRunningMs)} from request to ` +
    `running, paused for ${formatDuration(pauseMs)}, ${formatBytes(bytesOnLink)} on the link ` +
    `(${kind} handoff)`
  );
}

/** The first Ctrl-C cancels; the second ends this command at once, and only this command. */
function interruptible(onFirst: () => void): { signal: AbortSignal; release: () => void } {
  const abort = new AbortController();
  const onSignal = () => {
    if (abort.signal.aborted) {
      process.stderr.write('sojourn: left; see "sojourn status" for what became of the handoff\n');
      process.exit(INTERRUPTED);
    }
    onFirst();
    abort.abort();
  };
  process.on('SIGINT', onSignal);
  return { signal: abort.signal, release: () => process.off('SIGINT', onSignal) };
}
