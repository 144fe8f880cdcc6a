import { describeStandby } from '../describe-guest.ts';
import { INTERRUPTED } from '../exit-codes.ts';
import type { CommonOptions } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import { printable } from '../text.ts';
import { withAgent } from '../with-agent.ts';

export interface ArmOptions extends CommonOptions {
  readonly at: string;
  readonly wait?: boolean;
  readonly whenUnmetered?: boolean;
  readonly bothWays: boolean;
}

export async function arm(guest: string, options: ArmOptions): Promise<void> {
  const { at, wait = false, whenUnmetered = false, bothWays } = options;
  await withAgent(options, async (client, output) => {
    const line = new ProgressLine(process.stderr);
    // The wish is the agent's by then: leaving ends only the waiting.
    const leave = () => {
      line.clear();
      process.stderr.write('sojourn: left; it goes on by itself, see "sojourn status"\n');
      process.exit(INTERRUPTED);
    };
    process.once('SIGINT', leave);
    try {
      const view = await client.call(
        'standby.arm',
        { guest, at, wait, whenUnmetered, bothWays },
        {
          onItem: (standby) => {
            if (output.json) output.jsonLine({ standby });
            else if (!output.quiet) {
              line.show(standby.state, describeStandby(standby), Date.now());
            }
          },
        },
      );
      line.clear();
      output.done(view, printable(`${view.name}: ${describeStandby(view.standby)}`));
    } finally {
      line.clear();
      process.off('SIGINT', leave);
    }
  });
}

export async function disarm(guest: string, options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const view = await client.call('standby.disarm', { guest });
    output.done(view, printable(`${view.name} is disarmed`));
  });
}
